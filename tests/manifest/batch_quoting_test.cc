/// A value stays one piece of data wherever it is put into a shell script or a path.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "manifest/batch_helpers.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_jobs;
using testing::LoadedBatch;

/// What an attacker would put into an issue's title.
const std::vector<std::string> kNasty{"plain",       "",        "a b",       "it's",     "\"; touch /tmp/x; \"",
                                      "$(id)",       "`id`",    "${HOME}",   "\\",       "a\\'b",
                                      "line\nbreak", "'\"'\"'", "&& false",  "-n",       "*",
                                      "~",           "#x",      "a;b|c>d<e", "!history", "\t",
                                      "ünï ☃"};

/// JSON's quoting is TOML's, for these.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

/// The host's shell, and those of guests that are there.
std::vector<std::vector<std::string>> shells() {
    std::vector<std::vector<std::string>> found{{"/bin/sh"}};
    if (std::filesystem::exists("/bin/busybox")) found.push_back({"/bin/busybox", "sh"});
    if (std::filesystem::exists("/bin/bash")) found.push_back({"/bin/bash", "--posix"});
    return found;
}

LoadedBatch load_script(const std::string& script, const std::string& value) {
    Files files{{"/proj/t.jsonl", "{\"v\": " + quoted(value) + ", \"id\": 1}\n"}};
    return load_jobs("[[job]]\nname = \"j{{id}}\"\nfrom = \"t.jsonl\"\nexec = " + quoted(script) + "\n", files);
}

/// Puts each value into the script and has a real shell run it: it must print the expected text.
void expect_output(const std::string& script, const std::string& before, const std::string& after) {
    for (const std::string& value : kNasty) {
        auto loaded = load_script(script, value);
        ASSERT_EQ(loaded.error, "");
        for (const auto& shell : shells()) {
            auto argv = shell;
            argv.push_back("-c");
            argv.push_back(loaded.shell(0));
            auto run = run_captured({.argv = argv}, std::chrono::seconds(10));
            ASSERT_TRUE(run) << run.error().text();
            EXPECT_EQ(run->out, before + value + after) << shell[0] << ": " << loaded.shell(0);
            EXPECT_EQ(run->err, "");
        }
    }
}

TEST(QuotingTest, AValueIsOneWordToTheShellWhereverItStands) {
    expect_output("printf %s {{v}}", "", "");
    expect_output("printf %s a{{v}}b", "a", "b");
    expect_output("printf %s 'in {{v}} single'", "in ", " single");
    expect_output("printf %s \"in {{v}} double\"", "in ", " double");
    expect_output("x={{v}}; printf %s \"$x\"", "", "");
    expect_output("x=$(printf %s {{v}}); printf %s. \"$x\"", "", ".");
    expect_output("if true; then (printf %s {{v}}); fi # don't mind", "", "");
    expect_output("cat <<E >/dev/null\nit's \"this\nE\nprintf %s {{v}}", "", "");
    expect_output("echo $((1<<2)) >/dev/null; printf %s {{v}} | cat", "", "");
    expect_output("case x in x) printf %s {{v}};; esac", "", "");
}

TEST(QuotingTest, WhereNoQuotingHoldsTheValueIsRefused) {
    for (const char* script :
         {"echo \"$(cat {{v}})\"", "echo `cat {{v}}`", "cat <<E\n{{v}}\nE", "cat <<-E\n\tx\n\t{{v}}\n\tE",
          "true # {{v}}", "echo \\{{v}}", "echo ${{v}}", "echo \"${{v}}\"", "echo \"${x:-{{v}}}\"", "echo $'a{{v}}'",
          "cat <<{{v}}", "echo \"`{{v}}`\"", "echo \"$(case x in a) echo b;; esac; echo {{v}})\""}) {
        auto loaded = load_script(script, "x");
        EXPECT_NE(loaded.error.find("{{v}} stands where no quoting is sure to hold"), std::string::npos) << script;
    }
    auto raw = load_jobs(
        "[[job]]\nname = \"j{{n}}\"\nexec = \"true # {{!v}} `{{!v}}`\"\nmatrix = { n = [1], v = [\"a b\"] }\n");
    EXPECT_EQ(raw.error, "");
    EXPECT_EQ(raw.shell(0), "true # a b `a b`");
}

TEST(QuotingTest, InAnArgvAValueIsItsWordAsItIs) {
    auto loaded = load_jobs(
        "[[job]]\nname = \"j{{n}}\"\nexec = [\"a\", \"--p={{v}}\"]\nmatrix = { n = [1], v = [\"x 'y' $(z)\"] }\n");
    EXPECT_EQ(loaded.argv(0), (std::vector<std::string>{"a", "--p=x 'y' $(z)"}));
}

TEST(QuotingTest, AValueInAPathStaysBelowIt) {
    auto share = [](const std::string& host, const std::string& value) {
        Files files{{"/proj/t.csv", "n,id\n1,\"" + value + "\"\n"}};
        return load_jobs("[[job]]\nname = \"j{{n}}\"\nshares = [\"" + host + ":/w\"]\nfrom = \"t.csv\"\n", files);
    };
    EXPECT_EQ(share("./work/{{id}}", "a/b..c").jobs.at(0).sandbox.shares[0].host, "/proj/work/a/b..c");
    EXPECT_EQ(share("{{id}}", "../up").jobs.at(0).sandbox.shares[0].host, "/up") << "all of it is the value's to say";
    EXPECT_EQ(share("./work/{{!id}}", "..").jobs.at(0).sandbox.shares[0].host, "/proj");
    for (std::string value : {"../..", "a/../../b", "..", ".", ""}) {
        auto loaded = share("./work/{{id}}", value);
        EXPECT_NE(loaded.error.find("in a path of the host; {{!id}} allows it"), std::string::npos)
            << value << loaded.error;
    }
}

TEST(QuotingTest, AValueCannotMakeAnotherShareOfAShare) {
    Files files{{"/proj/t.csv", "id,dir\n1,x:/etc\n2,a/b\n"}};
    auto loaded =
        load_jobs("[[job]]\nname = \"j{{id}}\"\nshares = [\"./work/{{dir}}:/w:ro\"]\nfrom = \"t.csv\"\n", files);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.jobs[0].sandbox.shares[0].host, "/proj/work/x:/etc");
    EXPECT_EQ(loaded.jobs[0].sandbox.shares[0].guest, "/w");
    EXPECT_EQ(loaded.jobs[1].sandbox.shares[0].host, "/proj/work/a/b");
}

}  // namespace
}  // namespace vmette::manifest
