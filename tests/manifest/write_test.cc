#include <map>
#include <random>

#include <gtest/gtest.h>

#include "manifest/full_manifest.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

/// Random sandboxes that load() could have made, strings as awkward as TOML allows. The seed is fixed.
class Maker {
public:
    explicit Maker(std::uint32_t seed) : random_(seed) {}

    std::uint64_t number(std::uint64_t low, std::uint64_t high) {
        return std::uniform_int_distribution<std::uint64_t>(low, high)(random_);
    }
    bool coin() { return number(0, 1) == 1; }

    std::string text(std::size_t min = 0) {
        static const std::vector<std::string> kParts{"a",
                                                     "Z",
                                                     "0",
                                                     " ",
                                                     "$",
                                                     "$$",
                                                     "${A}",
                                                     "${A:-b}",
                                                     "\"",
                                                     "'",
                                                     "\\",
                                                     "\\n",
                                                     "\n",
                                                     "\r",
                                                     "\t",
                                                     "\x01",
                                                     "\x1f",
                                                     "\x7f",
                                                     "#",
                                                     "=",
                                                     "[",
                                                     "]]",
                                                     "{",
                                                     "}",
                                                     ",",
                                                     ".",
                                                     "\"\"\"",
                                                     "'''",
                                                     "ä",
                                                     "日本",
                                                     "\xC2\x85",
                                                     "\xE2\x80\xA8",
                                                     "\xF0\x9F\x98\x80",
                                                     "\xEF\xBB\xBF",
                                                     "\b\f"};
        std::string out;
        for (std::size_t n = number(min, min + 6); n > 0; --n) out += kParts[number(0, kParts.size() - 1)];
        return out;
    }
    std::string name(std::string_view first, std::string_view rest) {
        std::string out(1, first[number(0, first.size() - 1)]);
        for (std::size_t n = number(0, 8); n > 0; --n) out += rest[number(0, rest.size() - 1)];
        return out;
    }
    std::string path() { return "/" + name("abXY$\"'# ", "abc$\\\" \n'#=~") + "/p"; }
    Duration duration() { return Duration(number(0, 3) == 0 ? 0 : number(1, 500'000'000)); }
    std::uint64_t mebibytes(std::uint64_t low) { return number(low, 100'000) * kMiB; }

    Sandbox sandbox();

private:
    void fill_storage(Sandbox& s);
    void fill_maps(Sandbox& s);
    void fill_machine(Sandbox& s);
    std::mt19937 random_;
};

void Maker::fill_storage(Sandbox& s) {
    for (std::size_t i = number(0, 3); i > 0; --i)
        s.shares.push_back(
            {fmt::format("t{}", i), path(), fmt::format("/g{}{}", i, path()), static_cast<ShareMode>(number(0, 2))});
    for (std::size_t i = number(0, 2); i > 0; --i)
        s.disks.push_back({path(), coin() ? fmt::format("/d{}", i) : "", coin()});
    s.rootfs.read_only = coin();
    s.scratch = s.rootfs.read_only || coin() ? 0 : mebibytes(8);
}

void Maker::fill_maps(Sandbox& s) {
    for (std::size_t i = number(0, 4); i > 0; --i)
        s.env.emplace_back(fmt::format("{}{}", name("AZ_", "A_9z"), i), text());
    for (std::size_t i = number(0, 2); i > 0; --i) {
        Secret secret{.name = fmt::format("S{}", i), .expose_as_file = coin()};
        if (coin())
            secret.env = name("A_", "A9");
        else
            secret.file = path();
        s.secrets.push_back(std::move(secret));
    }
    for (std::size_t i = number(0, 3); i > 0; --i) s.labels.emplace(name("aZ0", "a./_-Z"), text());
    if (coin())
        s.metadata = "\"a b\" = [1, { x = \"$\\u0001\", \"\" = inf }]\nd = 1979-05-27T07:32:00.5-07:00\nt = 07:32:00\n";
}

void Maker::fill_machine(Sandbox& s) {
    s.limits = {.vcpus = static_cast<std::uint32_t>(number(1, 32)),
                .memory = mebibytes(32),
                .timeout = duration(),
                .boot_timeout = duration() + Duration(1),
                .idle_timeout = duration(),
                .output = number(0, 1 << 20) * kKiB,
                .pids = static_cast<std::uint32_t>(number(1, 4194304)),
                .grace = duration()};
    for (std::size_t i = number(0, 2); i > 0; --i) s.artifacts.push_back({path() + "/**", number(1, 1000) * kKiB});
    if (coin())
        s.snapshot = Snapshot{.warm = coin(), .setup = coin() ? std::vector{text(1)} : std::vector<std::string>{}};
    s.vm.accel = static_cast<Accel>(number(0, 3));
    if (coin()) s.vm.kernel = path();
    if (coin()) s.vm.initramfs = path();
    if (coin()) s.vm.ca_certs = path();
    if (coin()) s.vm.cmdline = name("a$\"", "b c=\"$\\");
    s.vm.vsock = static_cast<VsockMode>(number(0, 2));
    if (s.vm.vsock == VsockMode::port) s.vm.vsock_port = static_cast<std::uint32_t>(number(1, 4294967294));
    s.vm.switch_root = !s.rootfs.read_only && coin();
}

Sandbox Maker::sandbox() {
    Sandbox s;
    s.name = name("az09", "az09._-");
    s.rootfs.source = coin() ? path() : "alpine:" + text();
    s.rootfs.pull = static_cast<Pull>(number(0, 2));
    if (coin()) s.exec = coin() ? Exec(ShellCommand{text(1)}) : Exec(Argv{{text(1), text(), text()}});
    if (coin()) s.workdir = path();
    if (coin()) s.user = coin() ? "1:2" : "root";
    s.tty = coin();
    s.stdin_source.mode = static_cast<StdinMode>(number(0, 2));
    if (s.stdin_source.mode == StdinMode::file) s.stdin_source.file = path();
    s.net.mode = static_cast<NetMode>(number(0, 2));
    if (s.net.mode == NetMode::allowlist) s.net.allow = {{"*.a.org", {}}, {"2001:db8::/32", 443}, {"10.0.0.0/8", {}}};
    if (s.net.mode != NetMode::none && coin())
        s.ports = {{"::1", 1, 2, PortProtocol::udp}, {"127.0.0.1", 9, 9, PortProtocol::tcp}};
    fill_storage(s);
    fill_maps(s);
    fill_machine(s);
    return s;
}

LoadRequest resolved_request(std::string text) {
    LoadRequest request;
    request.sources.push_back({.name = "plan.toml", .folder = "/elsewhere", .text = std::move(text)});
    request.check_host = false;
    return request;
}

TEST(WriteTest, EverySandboxReadsBackEqual) {
    Maker maker(20260101);
    for (int round = 0; round < 2000; ++round) {
        Sandbox sandbox = maker.sandbox();
        std::string text = to_toml(sandbox);
        auto loaded = testing::load_request(resolved_request(text));
        ASSERT_EQ(loaded.error, "") << text;
        ASSERT_EQ(loaded.sandbox, sandbox) << text << "\n---\n" << to_toml(loaded.sandbox);
        ASSERT_EQ(to_toml(loaded.sandbox), text);
    }
}

TEST(WriteTest, TheFullManifestReadsBackEqual) {
    auto loaded = testing::load_request(testing::request_of(std::string(testing::kFullManifest)));
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(testing::load_request(resolved_request(to_toml(loaded.sandbox))).sandbox, loaded.sandbox);
}

TEST(WriteTest, TheShortestManifestIsWrittenWhole) {
    EXPECT_EQ(
        to_toml(testing::load_text("exec = \"echo $HOME\"\n[env]\nA = \"$$5\"\n[metadata]\nb.c = 1\na = [\"$\"]\n")
                    .sandbox),
        R"(schema = 1
name = "agent"
exec = "echo $HOME"
tty = false
stdin = "none"

[rootfs]
source = "/proj/rootfs"
read_only = false
pull = "missing"

[scratch]
size = "8G"

[net]
mode = "none"

[env]
A = "$$5"

[limits]
vcpus = 1
memory = "512M"
timeout = "10m"
boot_timeout = "30s"
idle_timeout = "0s"
output = "16M"
pids = 4096
grace = "5s"

[vm]
accel = "auto"
vsock = "auto"
switch_root = false

[metadata]
b = { c = 1 }
a = ["$"]
)");
}

TEST(WriteTest, FlatKeysAreTheLinesByTheirWholeNames) {
    auto loaded = testing::load_text(
        "exec = \"a\\nb = c\"\n[env]\nB = \"[2]\"\n[[artifacts]]\npath = \"/a\"\n"
        "[[artifacts]]\npath = \"/b\"\n[metadata]\nnote = \"n\"\n[metadata.deep]\nexec = 1\n[labels]\n\"a.b/c\" = "
        "\"1\"\n");
    ASSERT_EQ(loaded.error, "");
    std::map<std::string, std::string> keys;
    for (const auto& [name, value] : flat_keys(loaded.sandbox))
        EXPECT_TRUE(keys.emplace(name, value).second) << name << " twice";
    EXPECT_EQ(keys["exec"], "\"a\\nb = c\"");
    EXPECT_EQ(keys["env.B"], "\"[2]\"");
    EXPECT_EQ(keys["artifacts[0].path"], "\"/a\"");
    EXPECT_EQ(keys["artifacts[1].path"], "\"/b\"");
    EXPECT_EQ(keys["labels.\"a.b/c\""], "\"1\"");
    EXPECT_EQ(keys["limits.vcpus"], "1");
    EXPECT_FALSE(keys.contains("metadata.note") || keys.contains("note"));
}

}  // namespace
}  // namespace vmette::manifest
