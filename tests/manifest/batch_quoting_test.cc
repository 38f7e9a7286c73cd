/// A value stays one piece of data wherever it is put into a shell script or a path.

#include <random>

#include <stdlib.h>

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

/// Puts each value into the script and has real shells run them all, one after the other: each must print the expected
/// text.
void expect_output(const std::string& script, const std::string& before, const std::string& after) {
    std::string all, expected;
    for (const std::string& value : kNasty) {
        auto loaded = load_script(script, value);
        ASSERT_EQ(loaded.error, "");
        all += loaded.shell(0) + "\nprintf '\\001\\n'\n";
        expected += before + value + after + "\1\n";
    }
    for (const auto& shell : shells()) {
        auto argv = shell;
        argv.insert(argv.end(), {"-c", all});
        auto run = run_captured({.argv = argv}, std::chrono::seconds(30));
        ASSERT_TRUE(run) << run.error().text();
        EXPECT_EQ(run->out, expected) << shell[0] << ": " << all;
        EXPECT_EQ(run->err, "");
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
    for (std::string script :
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

void expect_refused(const std::vector<std::string>& scripts) {
    for (const std::string& script : scripts) {
        auto loaded = load_script(script, "x");
        EXPECT_NE(loaded.error.find("{{v}} stands where no quoting is sure to hold"), std::string::npos) << script;
    }
}

TEST(QuotingTest, HereDocumentsWhoseEndShellsMayFindElsewhereTakeNoValueBehindThem) {
    expect_refused({"cat <<'END OF FILE'\nhello\nEND OF FILE\necho {{v}}", "cat <<EOF\nfoo\\\nEOF\n{{v}}\nEOF",
                    "cat <<E'O'F\nx\nEOF\necho {{v}}", "cat <<\\E\nx\nE\necho {{v}}", "cat <<E\n${x-\nE\n {{v}} }\nE",
                    "cat <<E\n$(echo\nE\n)\nE\necho {{v}}", "cat <<E\n`echo\nE\n`\nE\necho {{v}}",
                    "x=$(cat <<E\nx\nE\n)\necho {{v}}", "cat <<E 'a\nb'\nx\nE\necho {{v}}",
                    "cat <<E \\\n\nx\nE\necho {{v}}", "cat <<${x}E\nx\nE\necho {{v}}", "(cat <<E)\nx\nE\necho {{v}}"});
    expect_output("cat <<'E-1' >/dev/null\nit's \\\n$(`${\nE-1\nprintf %s {{v}}", "", "");
    expect_output("cat <<-E >/dev/null; cat <<\"F\" >/dev/null\n\t$x ${y}'\n\tE\n\"\nF\nprintf %s {{v}}", "", "");
}

TEST(QuotingTest, QuotesThatShellsReadInTheirOwnWayTakeNoValueBehindThem) {
    expect_refused({"echo \"${MSG:-it's}\"; echo '{\"a\":\"b\"}' \"{{v}}\"", "echo \"${x:-\"a\"}\" {{v}}",
                    "echo \"${x:-\\}}\" {{v}}", "echo \"${x:-`a`}\" {{v}}", "a=`# don't\ndate`; echo '`' {{v}} 'x'",
                    "a=`echo \\`date\\``; echo {{v}}", "a=`cat <<E\nE\n`; echo {{v}}", "echo $\\\n'a' {{v}}",
                    "echo ${x:-(a #'\nb) '} {{v}}", "(case a in a) echo;; esac; echo {{v}})"});
    expect_output("x=`printf a`; printf %s \"${x:-b}$(printf '\"')\"{{v}}", "a\"", "");
    expect_output("x=${y:-'}'}; printf %s \"$x\" \\\n  {{v}}", "}", "");
}

TEST(QuotingTest, BehindTheProcessIdAnotherExpansionMayStart) {
    expect_refused({"echo \"$${\"'\"'\"}\"' {{v}}", "echo \"$${\"'\"'\"}\" {{v}}", "echo $$'\"' {{v}}", "echo $${{v}}",
                    "echo $$(echo {{v}})", "echo \"$$`a`\" {{v}}"});
    expect_output("x=\"a.$$\" y=$$; printf %s {{v}}", "", "");
}

TEST(QuotingTest, WhatMayBeACommentOrNotTakesNoValueBehindIt) {
    expect_refused({"echo $(echo a)#'\n{{v}}'", "\\\n#{{v}}", "\\\n#'\n{{v}}'", "echo a >#'\n{{v}}'",
                    "echo a\\\n#'\n{{v}}'", "echo a; \\\n# '\n{{v}}'"});
    expect_output("true;#'\n# it's\nprintf %s a#{{v}}", "a#", "");
}

TEST(QuotingTest, WhereAShellWouldEvaluateTheValueItIsRefused) {
    expect_refused({"(( x = {{v}} ))", "echo $(( {{v}} ))", "echo \"$(({{v}}))\"", "echo $[ {{v}} ]",
                    "echo \"$[{{v}}]\"", "a[{{v}}]=1", "a[\"{{v}}\"]=1", "a=([{{v}}]=1)", "[[ {{v}} -eq 1 ]]",
                    "(\\\n( x = {{v}} ))", "echo $(( 1 + (2) )) {{v}}"});
    expect_output("x=$((1 + 2 * 3)); [ -n {{v}}. ] && printf %s {{v}}", "", "");
}

TEST(QuotingTest, APlainWordIsNeverSyntax) {
    EXPECT_EQ(load_script("echo {{v}}>out", "2").shell(0), "echo '2'>out");
    EXPECT_EQ(load_script("{{v}} cmd", "PATH=/x").shell(0), "'PATH=/x' cmd");
    EXPECT_EQ(load_script("case x in {{v}}) echo;; esac", "esac").shell(0), "case x in 'esac') echo;; esac");
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

TEST(QuotingTest, AValueInASourceStaysBelowItOnceItIsDecoded) {
    auto source = [](const std::string& root, const std::string& a, const std::string& b) {
        Files files{{"/proj/t.csv", "n,a,b\n1,\"" + a + "\",\"" + b + "\"\n"}};
        return testing::load_batch_text(
            "sandbox = { rootfs = \"" + root + "\" }\n[[job]]\nname = \"j{{n}}\"\nfrom = \"t.csv\"\n", files);
    };
    std::string base = "squashfs+file://./images/{{a}}";
    EXPECT_EQ(source(base, "x/y..img", "").jobs.at(0).sandbox.rootfs.source, "squashfs+file:///proj/images/x/y..img");
    EXPECT_EQ(source("squashfs+file://./images/{{!a}}", "%2e%2e/up", "").jobs.at(0).sandbox.rootfs.source,
              "squashfs+file:///proj/up");
    for (std::string value : {"%2e%2e/secret.squashfs", "%2E%2E%2Fsecret", ".%2e/x", "%2e", "a%2f..%2f../x", "../x"}) {
        for (std::string place : {base, std::string("oci-archive:./images/{{a}}:tag")})
            EXPECT_NE(source(place, value, "").error.find("in a path of the host; {{!a}} allows it"), std::string::npos)
                << place << " " << value;
    }
    EXPECT_NE(source(base + "{{b}}", "%2", "e%2e/x").error, "") << "two values make it together";
    EXPECT_NE(source("tar+file://./images/%{{a}}", "2e.", "").error.find("holds a \"%\" or follows one"),
              std::string::npos);
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

/// A script of random pieces with {{v}} somewhere in it.
std::string random_script(std::mt19937& random) {
    static const std::vector<std::string> kPieces{"'",
                                                  "\"",
                                                  "`",
                                                  "\\",
                                                  "$",
                                                  "(",
                                                  ")",
                                                  "{",
                                                  "}",
                                                  "#",
                                                  "\n",
                                                  " ",
                                                  ";",
                                                  "echo ",
                                                  "a",
                                                  "<<E\n",
                                                  "\nE\n",
                                                  "<<'E'\n",
                                                  "<<-E\n\t",
                                                  "${x:-",
                                                  "$((",
                                                  "))",
                                                  "$(",
                                                  "esac",
                                                  "' '",
                                                  "\" \"",
                                                  "case a in a) ",
                                                  "\"$(",
                                                  "&&",
                                                  "x=",
                                                  "\\\n",
                                                  "<<<",
                                                  "$#",
                                                  "|",
                                                  "2>&1 ",
                                                  "\\\n#",
                                                  "(( x = ",
                                                  " ))",
                                                  "$(echo a)#'\n",
                                                  "\"${x:-it's}\"",
                                                  "[[ ",
                                                  "${x#",
                                                  "=",
                                                  "!",
                                                  "$$",
                                                  "((",
                                                  "<<'E F'\n",
                                                  "x[",
                                                  "]"};
    std::vector<std::string> script;
    for (auto count = 1 + random() % 6; count > 0; --count) script.push_back(kPieces[random() % kPieces.size()]);
    script.insert(script.begin() + static_cast<std::ptrdiff_t>(random() % (script.size() + 1)), "{{v}}");
    std::string out;
    for (const auto& piece : script) out += piece;
    return out;
}

TEST(QuotingTest, NoValueRunsACommandInRandomScripts) {
    constexpr int kScripts = 600;
    std::string folder = ::testing::TempDir() + "quoting_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::vector<std::string> attacks{"$(>P)", ";>P;",      "\n>P\n",   "'\n>P\n'", "\"$(>P)\"",
                                           "`>P`",  "\nE\n>P\n", ") ;>P; (", "a[$(>P)]"};
    std::mt19937 random(20);
    int accepted = 0;
    for (int i = 0; i < kScripts; ++i) {
        std::string script = random_script(random);
        auto loaded = load_script(script, attacks[random() % attacks.size()]);
        if (!loaded.error.empty()) continue;
        ++accepted;
        for (auto argv : shells()) {
            argv.insert(argv.end(), {"-c", loaded.shell(0)});
            auto run = run_captured({.argv = argv, .directory = folder}, std::chrono::seconds(5));
            ASSERT_TRUE(run) << run.error().text() << script;
            ASSERT_FALSE(std::filesystem::exists(folder + "/P")) << argv[0] << ": " << script << "\n"
                                                                 << loaded.shell(0);
        }
    }
    EXPECT_GT(accepted, kScripts / 10);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vmette::manifest
