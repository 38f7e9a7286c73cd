#include <sstream>

#include <gtest/gtest.h>

#include "manifest/batch_helpers.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_batch_text;
using testing::load_jobs;
using testing::LoadedBatch;
using Needs = std::vector<Need>;

TEST(NeedsTest, AreJobsBeforeAndAfterAndWholeTables) {
    auto loaded = load_jobs(R"(
[[job]]
name = "report"
needs = ["fix-{{issue}}-{{ model }}", "setup", "setup"]
[[job]]
name = "fix-{{issue}}-{{model}}"
needs = ["prepare-{{issue}}", "setup"]
matrix = { issue = [1, 2], model = ["s", "l"] }
[[job]]
name = "prepare-{{issue}}"
matrix.issue = [1, 2]
[[job]]
name = "setup"
[[job]]
name = "check"
needs = ["fix-2-s"]
)");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.jobs[0].needs, (Needs{{true, 1}, {false, 7}}));
    EXPECT_EQ(loaded.jobs[1].needs, (Needs{{false, 7}, {false, 5}}));
    EXPECT_EQ(loaded.jobs[4].needs, (Needs{{false, 7}, {false, 6}}));
    EXPECT_EQ(loaded.jobs[8].needs, (Needs{{false, 3}}));
}

TEST(NeedsTest, ANameThatTheTablesVariablesMakeIsOneJob) {
    auto loaded = load_jobs(
        "[[job]]\nname = \"a-{{n}}\"\nmatrix.n = [1, 2]\n"
        "[[job]]\nname = \"b-{{n}}\"\nneeds = [\"a-{{n}}\"]\nmatrix.n = [1, 2]\n");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.jobs[2].needs, (Needs{{false, 0}}));
    EXPECT_EQ(loaded.jobs[3].needs, (Needs{{false, 1}}));
}

TEST(NeedsTest, OfRowsMayBeTheirFields) {
    Files files{{"/proj/t.csv", "id,after\nx,y\ny,z\nz,root\n"}};
    auto loaded = load_jobs(
        "[[job]]\nname = \"root\"\n[[job]]\nname = \"{{id}}\"\nfrom = \"t.csv\"\nneeds = [\"{{after}}\"]\n", files);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.jobs[1].needs, (Needs{{false, 2}}));
    EXPECT_EQ(loaded.jobs[3].needs, (Needs{{false, 0}}));
}

TEST(NeedsTest, UnknownNamesAreSaidWithTheNearest) {
    EXPECT_EQ(
        load_jobs("[[job]]\nname = \"build\"\n[[job]]\nname = \"lint\"\nneeds = [\"biuld\", \"nothing-like-it\"]\n")
            .error,
        "batch.toml:6:10: error: needs: there is no job \"biuld\"; did you mean \"build\"?\n"
        "    needs = [\"biuld\", \"nothing-like-it\"]\n"
        "             ^\n"
        "\n"
        "batch.toml:6:19: error: needs: there is no job \"nothing-like-it\"\n"
        "    needs = [\"biuld\", \"nothing-like-it\"]\n"
        "                      ^\n");
    EXPECT_EQ(load_jobs("[[job]]\nname = \"a-{{n}}\"\nneeds = [\"b-{{n}}\"]\nmatrix.n = [1, 2, 3, 4, 5, 6, 7]\n").error,
              "batch.toml:4:10: error: job a-1: needs: there is no job \"b-1\"; did you mean \"a-1\"?\n"
              "    needs = [\"b-{{n}}\"]\n"
              "             ^\n"
              "\n"
              "batch.toml:4:10: error: job a-2: needs: there is no job \"b-2\"; did you mean \"a-2\"?\n"
              "    needs = [\"b-{{n}}\"]\n"
              "             ^\n"
              "\n"
              "batch.toml:4:10: error: job a-3: needs: there is no job \"b-3\"; did you mean \"a-3\"?\n"
              "    needs = [\"b-{{n}}\"]\n"
              "             ^\n"
              "\n"
              "batch.toml:4:10: error: job a-4: needs: there is no job \"b-4\"; did you mean \"a-4\"?\n"
              "    needs = [\"b-{{n}}\"]\n"
              "             ^\n"
              "\n"
              "batch.toml:4:10: error: job a-5: needs: there is no job \"b-5\"; did you mean \"a-5\"?\n"
              "    needs = [\"b-{{n}}\"]\n"
              "             ^\n"
              "\n"
              "batch.toml:4:10: error: 2 more jobs have such an error here\n"
              "    needs = [\"b-{{n}}\"]\n"
              "             ^\n");
}

TEST(NeedsTest, TenThousandUnknownNamesCostLittle) {
    std::string csv = "id\n";
    for (int i = 0; i < 10'000; ++i) csv += fmt::format("{}\n", i);
    Files files{{"/proj/t.csv", csv}};
    std::string error = load_jobs(
                            "[[job]]\nname = \"some-long-name-{{id}}\"\nfrom = \"t.csv\"\n"
                            "needs = [\"some-lnog-name-{{id}}\"]\n",
                            files)
                            .error;
    EXPECT_NE(error.find("9995 more jobs have such an error here"), std::string::npos);
}

TEST(NeedsTest, CyclesAreNamed) {
    EXPECT_EQ(load_jobs("[[job]]\nname = \"a\"\nneeds = [\"c\"]\n[[job]]\nname = \"b\"\nneeds = [\"a\"]\n"
                        "[[job]]\nname = \"c\"\nneeds = [\"b\"]\n[[job]]\nname = \"self\"\nneeds = [\"self\"]\n")
                  .error,
              "batch.toml:4:10: error: a cycle in needs: a → c → b → a\n"
              "    needs = [\"c\"]\n"
              "             ^\n"
              "\n"
              "batch.toml:13:10: error: a cycle in needs: self → self\n"
              "    needs = [\"self\"]\n"
              "             ^\n");
    EXPECT_NE(load_jobs("[[job]]\nname = \"g-{{n}}\"\nneeds = [\"one\"]\nmatrix.n = [1, 2]\n"
                        "[[job]]\nname = \"one\"\nneeds = [\"g-{{n}}\"]\n")
                  .error.find("a cycle in needs: g-1 → one → g-{{n}} → g-1"),
              std::string::npos);
}

/// The messages alone, a line each.
std::string messages_of(const LoadedBatch& loaded) {
    std::string out;
    std::istringstream lines(loaded.error);
    for (std::string line; std::getline(lines, line);)
        if (auto at = line.find(": error: "); at != std::string::npos) out += line.substr(at + 9) + "\n";
    return out;
}
std::string messages(const std::string& text, const Files& files = {}) { return messages_of(load_jobs(text, files)); }

TEST(NeedsTest, AreCheckedWhateverElseIsWrong) {
    std::string cycle_and_typo =
        "[[job]]\nname = \"a\"\nneeds = [\"b\", \"biuld\"]\n[[job]]\nname = \"b\"\nneeds = [\"a\"]\n"
        "[[job]]\nname = \"build\"\n";
    EXPECT_EQ(messages(cycle_and_typo + "limits.memory = -1\n"),
              "a cycle in needs: a → b → a\n"
              "needs: there is no job \"biuld\"; did you mean \"build\"?\n"
              "limits.memory: a size cannot be negative\n");
    EXPECT_EQ(messages_of(load_batch_text("sandbox = \"none.toml\"\n[pool]\nslots = 1\n" + cycle_and_typo +
                                          "limit.memory = 1\n")),
              "sandbox: /proj/none.toml does not exist\n"
              "unknown key \"slots\" in [pool]\n"
              "a cycle in needs: a → b → a\n"
              "needs: there is no job \"biuld\"; did you mean \"build\"?\n"
              "unknown key \"limit\" in [[job]]; did you mean \"limits\"?\n");
}

TEST(NeedsTest, OfJobsThatSomethingElseHidesAreNotReported) {
    Files files{{"/proj/bad.csv", "id\n1,2\n"}};
    EXPECT_EQ(messages("[[job]]\nname = \"unit-{{id}}-x\"\nfrom = \"bad.csv\"\n"
                       "[[job]]\nname = \"all\"\nneeds = [\"unit-7-x\", \"unit-7-y\"]\n",
                       files),
              "needs: there is no job \"unit-7-y\"\n"
              "2 fields where the first line names 1\n");
    EXPECT_EQ(messages("[[job]]\nname = \"no name\"\n[[job]]\nname = \"all\"\nneeds = [\"no name\", \"no-name\"]\n"),
              "name must be a name: lower-case letters, digits, '.', '_' and '-', at most 63, the first a letter or "
              "digit, not \"no name\"\n"
              "needs: there is no job \"no-name\"\n");
}

TEST(NeedsTest, LongChainsAndWideFansCostLittle) {
    std::string csv = "id,after\n";
    for (int i = 1; i < 50'000; ++i) csv += fmt::format("{},{}\n", i, i - 1);
    Files files{{"/proj/t.csv", csv}};
    std::string head = "[batch]\nmax_jobs = 200000\n[[job]]\nname = \"j0\"\n";
    auto loaded = load_jobs(head +
                                "[[job]]\nname = \"j{{id}}\"\nfrom = \"t.csv\"\nneeds = [\"j{{after}}\"]\n"
                                "[[job]]\nname = \"end-{{id}}\"\nfrom = \"t.csv\"\nneeds = [\"j{{id}}\", "
                                "\"j0\"]\nlabels.a = \"{{after}}\"\n",
                            files);
    EXPECT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.jobs.size(), 99'999U);
    EXPECT_EQ(loaded.jobs.back().needs, (Needs{{false, 0}, {false, 49'999}}));
}

}  // namespace
}  // namespace vmette::manifest
