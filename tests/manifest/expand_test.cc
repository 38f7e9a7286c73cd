#include <gtest/gtest.h>

#include "manifest/expand.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

using testing::kRoot;
using testing::load_request;
using testing::Loaded;
using testing::request_of;

Loaded load_with(std::string_view text, const std::map<std::string, std::string>& variables,
                 std::vector<std::string> set = {}) {
    LoadRequest request = request_of(std::string(kRoot) + std::string(text), std::move(set));
    request.environment = [&variables](const std::string& name) -> std::optional<std::string> {
        auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    };
    return load_request(request);
}

TEST(ExpandTest, VariablesDefaultsAndDollars) {
    auto loaded = load_with(
        "name = \"${WHO}-job\"\nshares = [\"${DIR:-./x}:/x\"]\n[env]\nA = \"$${WHO} costs 5$ $$1 $x\"\n"
        "B = \"${EMPTY:-fallback}${EMPTY}\"\nC = \"${NONE:-}\"\n[limits]\nmemory = \"${MEM:-64M}\"\n",
        {{"WHO", "ann"}, {"EMPTY", ""}});
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.name, "ann-job");
    EXPECT_EQ(loaded.sandbox.shares[0].host, "/proj/x");
    EXPECT_EQ(loaded.sandbox.env[0].second, "${WHO} costs 5$ $1 $x");
    EXPECT_EQ(loaded.sandbox.env[1].second, "fallback");
    EXPECT_EQ(loaded.sandbox.env[2].second, "");
    EXPECT_EQ(loaded.sandbox.limits.memory, 64 * kMiB);
}

TEST(ExpandTest, ExecAndMetadataStayAsTheyAre) {
    auto loaded = load_with("exec = \"echo ${HOME} $$\"\n[metadata]\nnote = \"${NOT_SET}\"\n", {});
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.exec, Exec(ShellCommand{"echo ${HOME} $$"}));
    EXPECT_EQ(loaded.sandbox.metadata, "note = \"${NOT_SET}\"\n");
    EXPECT_EQ(load_with("exec = [\"${X}\"]\n", {}).sandbox.exec, Exec(Argv{{"${X}"}}));
}

TEST(ExpandTest, UnsetVariableIsAnErrorAtItsPlace) {
    EXPECT_EQ(
        load_with("[env]\nTOKEN = \"a ${NOT_SET}\"\n", {}).error,
        "agent.toml:3:9: error: the environment variable NOT_SET is not set; ${NOT_SET:-default} gives a default\n"
        "    TOKEN = \"a ${NOT_SET}\"\n"
        "            ^\n");
}

TEST(ExpandTest, AnOverriddenVariableNeedNotBeSet) {
    EXPECT_EQ(load_with("[env]\nTOKEN = \"${NOT_SET}\"\n", {}, {"env.TOKEN=x"}).sandbox.env[0].second, "x");
}

TEST(ExpandTest, MalformedReferencesAreErrors) {
    EXPECT_EQ(load_with("[env]\nA = \"${X\"\nB = \"${a-b}\"\n", {}).error,
              "agent.toml:3:5: error: \"${\" without a closing \"}\" (a literal $ is written $$)\n"
              "    A = \"${X\"\n"
              "        ^\n"
              "\n"
              "agent.toml:4:5: error: \"a-b\" in ${} is not a variable's name (a literal $ is written $$)\n"
              "    B = \"${a-b}\"\n"
              "        ^\n");
}

TEST(ExpandTest, AVariableThatIsNoTextIsRefused) {
    EXPECT_EQ(load_with("[env]\nA = \"${X}\"\n", {{"X", "\xff"}}).error,
              "agent.toml:3:5: error: the environment variable X holds bytes that are not text\n"
              "    A = \"${X}\"\n"
              "        ^\n");
}

TEST(ExpandTest, ExpansionIsBounded) {
    std::string text = "[env]\n";
    for (int i = 0; i < 1000; ++i) text += fmt::format("V{} = \"${{BIG}}\"\n", i);
    std::string error = load_with(text, {{"BIG", std::string(100'000, 'x')}}).error;
    EXPECT_NE(error.find("too large after ${} expansion"), std::string::npos);
}

TEST(ExpandTest, SecretsAndListsAreExpandedToo) {
    auto loaded =
        load_with("[secrets]\nKEY = { env = \"${NAME}\" }\n[net]\nmode = \"allowlist\"\nallow = [\"${HOST}:1\"]\n",
                  {{"NAME", "REAL"}, {"HOST", "a.example"}});
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.secrets[0].env, "REAL");
    EXPECT_EQ(loaded.sandbox.net.allow[0].host, "a.example");
}

}  // namespace
}  // namespace vmette::manifest
