#include <gtest/gtest.h>

#include "manifest/full_manifest.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::errors_of;
using testing::load_request;
using testing::load_text;
using testing::request_of;

Sandbox full_sandbox() {
    Sandbox s;
    s.name = "hello";
    s.rootfs = {.source = "oci://ghcr.io/acme/agent:v3", .read_only = false, .pull = Pull::always};
    s.exec = ShellCommand{"python3 -c 'print(2**32)'"};
    s.workdir = "/src";
    s.user = "1000:1000";
    s.tty = true;
    s.stdin_source = {StdinMode::file, "/proj/input.txt"};
    s.scratch = 2 * kGiB;
    s.shares = {{"src", "/proj/src", "/src", ShareMode::rw}};
    s.disks = {{"/proj/data.img", "/data", true}};
    s.ports = {{"127.0.0.1", 8080, 80, PortProtocol::tcp},
               {"::1", 53, 5353, PortProtocol::udp},
               {"127.0.0.1", 443, 8443, PortProtocol::tcp}};
    s.net = {
        NetMode::allowlist,
        {{"pypi.org", {}}, {"*.debian.org", 443}, {"10.1.2.3/32", 5432}, {"2001:db8::/32", 443}, {"2001:db8::1", {}}}};
    s.env = {{"LANG", "C.UTF-8"}, {"EMPTY", ""}};
    s.secrets = {{"ANTHROPIC_API_KEY", "HOST_KEY", {}, false}, {"FILE", "", "/home/u/.keys/anthropic", true}};
    s.limits = {.vcpus = 2,
                .memory = kGiB,
                .timeout = seconds(3600),
                .boot_timeout = seconds(20),
                .idle_timeout = seconds(90),
                .output = kMiB,
                .pids = 100,
                .grace = milliseconds(500)};
    s.artifacts = {{"/out/**/*.json", 3 * kMiB}};
    s.snapshot = Snapshot{.warm = true, .setup = {"pip install -r /src/requirements.txt"}};
    s.vm = {.accel = Accel::tcg,
            .kernel = "/proj/k",
            .initramfs = "/i",
            .cmdline = "loglevel=7",
            .vsock = VsockMode::port,
            .vsock_port = 4000,
            .switch_root = true,
            .ca_certs = "/home/u/corp-certs"};
    s.labels = {{"team", "search"}};
    s.metadata = "ticket = \"ABC-1\"\nnested = { list = [1, 2.5, true, 2024-01-02], \"odd key\" = {} }\n";
    return s;
}

TEST(LoadTest, EveryKeyArrives) {
    auto loaded = load_request(request_of(std::string(testing::kFullManifest)));
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox, full_sandbox());
}

TEST(LoadTest, DefaultsOfTheShortestManifest) {
    auto loaded = load_text("");
    ASSERT_EQ(loaded.error, "");
    Sandbox expected;
    expected.name = "agent";
    expected.rootfs.source = "/proj/rootfs";
    EXPECT_EQ(loaded.sandbox, expected);
    EXPECT_EQ(loaded.sandbox.scratch, 8 * kGiB);
}

TEST(LoadTest, NameComesFromTheFirstFile) {
    auto name_of = [](std::string file) {
        LoadRequest request = request_of("rootfs = \"x\"\n");
        request.sources[0].name = std::move(file);
        request.sources.push_back({.name = "second.toml", .folder = "/", .text = ""});
        return load_request(request).sandbox.name;
    };
    EXPECT_EQ(name_of("dir/My Agent (2).toml"), "my-agent-2");
    EXPECT_EQ(name_of("stdin"), "stdin");
    EXPECT_EQ(name_of("_x..y.toml"), "x..y");
    EXPECT_EQ(name_of(std::string(200, 'a') + ".toml"), std::string(63, 'a'));
}

TEST(LoadTest, ReadOnlyRootHasNoScratch) {
    EXPECT_EQ(load_text("", {"rootfs.read_only=true"}).sandbox.scratch, 0U);
    EXPECT_EQ(load_text("scratch = 0\n", {"rootfs.read_only=true"}).error, "");
    EXPECT_EQ(errors_of("scratch = \"1G\"\n", {"rootfs.read_only=true"}),
              "agent.toml:2:11: error: scratch has no use with rootfs.read_only: nothing is written over the root\n"
              "    scratch = \"1G\"\n"
              "              ^\n");
}

TEST(LoadTest, AScratchOfTheUsersDefaultsYieldsToAReadOnlyRoot) {
    LoadRequest request = request_of("rootfs = { source = \"x\", read_only = true }\n");
    request.sources.insert(
        request.sources.begin(),
        {.name = "config.toml", .folder = "/c", .text = "[defaults]\nscratch = \"20G\"\n", .defaults_table = true});
    auto loaded = load_request(request);
    EXPECT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.scratch, 0U);
}

TEST(LoadTest, ReadOnlyRootCannotBeSwitchedTo) {
    EXPECT_EQ(
        errors_of("[vm]\nswitch_root = true\n", {"rootfs.read_only=true"}),
        "agent.toml:3:15: error: vm.switch_root cannot be used with rootfs.read_only: it needs a root that can be "
        "written\n"
        "    switch_root = true\n"
        "                  ^\n");
}

TEST(LoadTest, PortsNeedANetwork) {
    EXPECT_EQ(errors_of("ports = [\"80:80\"]\n"),
              "agent.toml:2:9: error: ports need a network: net.mode is \"none\"\n"
              "    ports = [\"80:80\"]\n"
              "            ^\n");
    EXPECT_EQ(errors_of("ports = [\"80:80\"]\n[net]\nmode = \"nat\"\n"), "");
}

TEST(LoadTest, AnAllowListIsNotIgnored) {
    for (std::string_view mode : {"", "mode = \"nat\"\n"}) {
        std::string error = errors_of(fmt::format("[net]\nallow = [\"a.b\"]\n{}", mode));
        EXPECT_NE(error.find("net.allow needs net.mode = \"allowlist\""), std::string::npos) << error;
    }
    EXPECT_EQ(errors_of("[net]\nallow = [\"a.b\"]\nmode = \"none\"\n"), "");
}

TEST(LoadTest, HvfIsOfAnotherSystem) {
    LoadRequest request = request_of("rootfs = \"x:1\"\n[vm]\naccel = \"hvf\"\n");
    request.check_host = true;
    EXPECT_EQ(
        load_request(request).error,
        "agent.toml:3:9: error: vm.accel = \"hvf\" works on macOS alone; on Linux it is \"auto\", \"kvm\" or \"tcg\"\n"
        "    accel = \"hvf\"\n"
        "            ^\n");
}

TEST(LoadTest, ASecretHasOneSource) {
    EXPECT_EQ(
        errors_of("[secrets]\nA = {}\nB = { env = \"B\", file = \"b\" }\nC = \"value\"\n[env]\nD = \"\"\n[secrets.D]\n"
                  "env = \"D\"\n"),
        "agent.toml:3:1: error: secrets.A must have one of \"env\" and \"file\"\n"
        "    A = {}\n"
        "    ^\n"
        "\n"
        "agent.toml:4:1: error: secrets.B must have only one of \"env\" and \"file\"\n"
        "    B = { env = \"B\", file = \"b\" }\n"
        "    ^\n"
        "\n"
        "agent.toml:5:5: error: secrets.C must be a table such as { env = \"C\" }, not a string\n"
        "    C = \"value\"\n"
        "        ^\n"
        "\n"
        "agent.toml:8:10: error: secrets.D: [env] has a variable D too\n"
        "    [secrets.D]\n"
        "             ^\n");
}

TEST(LoadTest, ExecHasSomethingToRun) {
    EXPECT_NE(errors_of("exec = \"\"\n").find("error: exec is empty\n"), std::string::npos);
    EXPECT_NE(errors_of("exec = []\n").find("error: exec is empty\n"), std::string::npos);
    EXPECT_NE(errors_of("exec = [\"\"]\n").find("error: exec[0] is empty: it is the program to run\n"),
              std::string::npos);
    EXPECT_NE(errors_of("exec = 3\n").find("error: exec must be a string or an array of strings, not an integer\n"),
              std::string::npos);
    EXPECT_EQ(load_text("exec = [\"a\", \"\"]\n").sandbox.exec, Exec(Argv{{"a", ""}}));
}

TEST(LoadTest, EnvValuesAreStrings) {
    EXPECT_EQ(errors_of("[env]\nPORT = 8080\n\"A-B\" = \"\"\n"),
              "agent.toml:3:8: error: env.PORT must be a string, not an integer; write \"8080\"\n"
              "    PORT = 8080\n"
              "           ^\n"
              "\n"
              "agent.toml:4:1: error: env: \"A-B\" is not a variable's name: letters, digits and '_', the first not a "
              "digit\n"
              "    \"A-B\" = \"\"\n"
              "    ^\n");
}

TEST(LoadTest, SizesAndDurationsHaveBounds) {
    EXPECT_NE(errors_of("[limits]\nmemory = \"32769K\"\n").find("limits.memory: 32769K is not a multiple of 1M"),
              std::string::npos);
    EXPECT_NE(errors_of("[limits]\nmemory = \"9999999T\"\n").find("the size \"9999999T\" is too large"),
              std::string::npos);
    EXPECT_NE(errors_of("[limits]\nmemory = 9223372036854775807\n").find("is too large"), std::string::npos);
    EXPECT_NE(errors_of("[limits]\nmemory = -1\n").find("a size cannot be negative"), std::string::npos);
    EXPECT_NE(errors_of("[limits]\ntimeout = \"99999999h\"\n").find("is too large"), std::string::npos);
    EXPECT_NE(errors_of("[limits]\nboot_timeout = 0\n").find("limits.boot_timeout: must be more than 0"),
              std::string::npos);
    EXPECT_NE(errors_of("scratch = 1\n").find("scratch.size: 1M is less than 8M (0 is allowed)"), std::string::npos);
    EXPECT_EQ(load_text("scratch = 0\n[limits]\ntimeout = 0\ngrace = \"0\"\n").error, "");
}

TEST(LoadTest, SchemaIsOne) { EXPECT_NE(errors_of("schema = 2\n").find("schema must be 1, not 2"), std::string::npos); }

TEST(LoadTest, VsockIsAutoOffOrAPort) {
    EXPECT_EQ(load_text("[vm]\nvsock = false\n").sandbox.vm.vsock, VsockMode::off);
    for (std::string_view value : {"true", "0", "4294967295", "\"off\"", "1.5"})
        EXPECT_NE(errors_of(fmt::format("[vm]\nvsock = {}\n", value))
                      .find("vm.vsock must be \"auto\", false or a port number"),
                  std::string::npos)
            << value;
}

TEST(LoadTest, PortsOfTheHostAreTakenOnce) {
    std::string error =
        errors_of("ports = [\"80:80\", \"127.0.0.1:80:81\", \"80:80/udp\", \"0.0.0.0:80:1\"]\nnet.mode = \"nat\"\n");
    EXPECT_EQ(error,
              "agent.toml:2:19: error: ports[1]: ports[0] already takes 127.0.0.1 port 80 of the host\n"
              "    ports = [\"80:80\", \"127.0.0.1:80:81\", \"80:80/udp\", \"0.0.0.0:80:1\"]\n"
              "                      ^\n");
}

}  // namespace
}  // namespace vmette::manifest
