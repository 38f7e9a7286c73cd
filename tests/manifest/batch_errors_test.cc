/// What is wrong with a batch manifest, as the user sees it.

#include <chrono>

#include <gtest/gtest.h>

#include "manifest/batch_helpers.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_batch_text;
using testing::load_jobs;

TEST(BatchErrorsTest, ResultThatWritesToTheHostIsNotReusable) {
    EXPECT_EQ(
        load_jobs(R"([[job]]
name = "job-{{n}}"
exec = "true"
shares = ["./in:/in:ro", "./over:/over:overlay", "./out:/out:rw"]
disks = [{ path = "a.img", read_only = true }, { path = "b.img" }]
cache = true
matrix.n = [1, 2]
)")
            .error,
        R"(batch.toml:7:9: error: cache = true: the share out is rw, and a reused result would not write it; make it "ro" or "overlay" and take what the job makes from its output or artifacts
    cache = true
            ^

batch.toml:7:9: error: cache = true: disks[1] can be written, and a reused result would not write it; say read_only = true
    cache = true
            ^
)");
    EXPECT_EQ(load_jobs("[[job]]\nname = \"a\"\nexec = \"true\"\nshares = [\"./out:/out:rw\"]\ncache = false\n").error,
              "");
    auto varies = load_jobs(
        "[[job]]\nname = \"job-{{mode}}\"\nexec = \"true\"\nshares = [\"./out:/out:{{mode}}\"]\ncache = true\n"
        "matrix.mode = [\"ro\", \"rw\"]\n");
    EXPECT_NE(varies.error.find("the share out is rw"), std::string::npos) << varies.error;
}

TEST(BatchErrorsTest, AllOfThemAreListedInOneGo) {
    EXPECT_EQ(
        load_batch_text(R"(rootfs = "./r"
pool = { vmz = 1, vms = 0 }
retry.on = ["vm-eror"]
batch.max_failures = "x"
sandbox = { rootfs = "./rootfs", needs = ["a"], limits = { vcpus = 0 } }
[[job]]
nam = "lint"
exec = ""
[[job]]
name = "Lint It"
matrix = {}
)")
            .error,
        R"(batch.toml:1:1: error: unknown key "rootfs" of a batch; in every job it is "sandbox.rootfs", in one it stands under its [[job]]
    rootfs = "./r"
    ^

batch.toml:2:10: error: unknown key "vmz" in [pool]; did you mean "vms"?
    pool = { vmz = 1, vms = 0 }
             ^

batch.toml:2:25: error: pool.vms must be a whole number from 1 to 4096, not 0
    pool = { vmz = 1, vms = 0 }
                            ^

batch.toml:3:13: error: retry.on[0] must be a reason ("exited", "signaled", "timeout", "idle", "oom", "vm-error", "setup-error", "image-error", "exec-error", "lost") or "exit:CODE" from 1 to 255, not "vm-eror"
    retry.on = ["vm-eror"]
                ^

batch.toml:4:22: error: batch.max_failures must be a whole number from 0 to 4294967295, not "x"
    batch.max_failures = "x"
                         ^

batch.toml:5:34: error: unknown key "needs" in the sandbox
    sandbox = { rootfs = "./rootfs", needs = ["a"], limits = { vcpus = 0 } }
                                     ^

batch.toml:5:68: error: limits.vcpus must be a whole number from 1 to 32, not 0
    sandbox = { rootfs = "./rootfs", needs = ["a"], limits = { vcpus = 0 } }
                                                                       ^

batch.toml:6:1: error: job[0].name is missing
    [[job]]
    ^

batch.toml:7:1: error: unknown key "nam" in [[job]]; did you mean "name"?
    nam = "lint"
    ^

batch.toml:8:8: error: exec is empty
    exec = ""
           ^

batch.toml:10:8: error: name must be a name: lower-case letters, digits, '.', '_' and '-', at most 63, the first a letter or digit, not "Lint It"
    name = "Lint It"
           ^

batch.toml:11:10: error: matrix has no variable, such as model = ["small", "large"]
    matrix = {}
             ^
)");
}

TEST(BatchErrorsTest, ABatchHasJobsAndTheyAreTables) {
    EXPECT_EQ(load_batch_text("pool.vms = 1\n").error,
              "batch.toml: error: job is missing: a batch has one [[job]] or more\n");
    EXPECT_EQ(load_batch_text("[job]\nname = \"a\"\n").error,
              "batch.toml:1:2: error: job must be an array of tables, not a table; write [[job]]\n    [job]\n     ^\n");
    EXPECT_EQ(load_batch_text("job = []\n").error,
              "batch.toml:1:1: error: job is empty: a batch has one [[job]] or more\n    job = []\n    ^\n");
    EXPECT_EQ(load_batch_text("[[job]]\nname = \"a\"\n").error,
              "batch.toml:1:1: error: rootfs is missing: the root filesystem to run on, such as rootfs = \"./rootfs\"\n"
              "    [[job]]\n    ^\n");
    EXPECT_EQ(load_batch_text("job = [\n").error.find("batch.toml:"), 0U);
}

TEST(BatchErrorsTest, TheSandboxIsAFileOrATable) {
    Files files{{"/proj/a.toml", "rootfs = \"/r\"\n[limits]\nmemroy = 1\n"},
                {"/proj/b.toml", "[[job]]\nname = \"x\"\n"}};
    std::string job = "[[job]]\nname = \"a\"\n";
    EXPECT_EQ(
        load_batch_text("sandbox = \"a.toml\"\n" + job, files).error,
        "a.toml:3:1: error: unknown key \"memroy\" in [limits]; did you mean \"memory\"?\n    memroy = 1\n    ^\n");
    EXPECT_EQ(
        load_batch_text("sandbox = \"b.toml\"\n" + job + "rootfs = \"/r\"\n", files).error,
        "b.toml:1:3: error: \"job\" belongs to a batch manifest; `sandbox` names a sandbox's\n    [[job]]\n      ^\n");
    EXPECT_EQ(
        load_batch_text("sandbox = \"c.toml\"\n" + job + "rootfs = \"/r\"\n", files).error,
        "batch.toml:1:11: error: sandbox: /proj/c.toml does not exist\n    sandbox = \"c.toml\"\n              ^\n");
    EXPECT_NE(
        load_batch_text("sandbox = 3\n" + job, files).error.find("sandbox must be the path of a manifest or a table"),
        std::string::npos);
}

TEST(BatchErrorsTest, VariablesThatNothingDefinesAndThatNothingUses) {
    EXPECT_EQ(load_jobs(R"([[job]]
name = "fix-{{issue}}"
exec = "agent {{modle}} {{issue}}"
matrix = { issue = [1, 2], model = ["s"], seed = [1] }
[[job]]
name = "plain"
exec = "echo {{x}}"
)")
                  .error,
              R"(batch.toml:4:8: error: nothing defines {{modle}}; did you mean "model"?
    exec = "agent {{modle}} {{issue}}"
           ^

batch.toml:5:28: error: matrix.model is not used: nothing in the job holds {{model}}
    matrix = { issue = [1, 2], model = ["s"], seed = [1] }
                               ^

batch.toml:5:43: error: matrix.seed is not used: nothing in the job holds {{seed}}
    matrix = { issue = [1, 2], model = ["s"], seed = [1] }
                                              ^

batch.toml:8:8: error: nothing defines {{x}}: the job has neither a matrix nor a file of jobs (a literal "{{" is written "{{{{")
    exec = "echo {{x}}"
           ^
)");
}

TEST(BatchErrorsTest, TemplatesThatAreNone) {
    EXPECT_EQ(load_jobs("[[job]]\nname = \"a{{n\"\nexec = \"{{.State}} {{n}}\"\nmatrix.n = [1]\n").error,
              R"(batch.toml:3:8: error: "{{" without a closing "}}" (a literal "{{" is written "{{{{")
    name = "a{{n"
           ^

batch.toml:4:8: error: ".State" in {{}} is not a variable's name (a literal "{{" is written "{{{{")
    exec = "{{.State}} {{n}}"
           ^

batch.toml:5:8: error: matrix.n is not used: nothing in the job holds {{n}}
    matrix.n = [1]
           ^
)");
}

TEST(BatchErrorsTest, MatricesThatAreWrong) {
    EXPECT_EQ(load_jobs(R"([[job]]
name = "j{{a}}{{b}}"
[job.matrix]
a = [1, 1, []]
b = []
"c d" = [1]
e = "x"
exclude = [{ a = 2 }, { bb = 1 }, 7]
)")
                  .error,
              R"(batch.toml:5:9: error: matrix.a[1]: "1" is in the list already
    a = [1, 1, []]
            ^

batch.toml:5:12: error: matrix.a[2] must be a string, a number or a boolean, not an array
    a = [1, 1, []]
               ^

batch.toml:6:5: error: matrix.b is empty: it makes no job
    b = []
        ^

batch.toml:7:1: error: matrix: "c d" is not a variable's name: letters, digits, '_', '-' and '.', the first a letter or '_'
    "c d" = [1]
    ^

batch.toml:8:5: error: matrix.e must be an array of values, not a string
    e = "x"
        ^

batch.toml:9:18: error: matrix.exclude[0].a: no value of the variable, so that nothing is left out; did you mean "1"?
    exclude = [{ a = 2 }, { bb = 1 }, 7]
                     ^

batch.toml:9:25: error: matrix.exclude[1]: the matrix has no variable "bb"
    exclude = [{ a = 2 }, { bb = 1 }, 7]
                            ^

batch.toml:9:35: error: matrix.exclude[2] must be a table of variables and values
    exclude = [{ a = 2 }, { bb = 1 }, 7]
                                      ^
)");
    EXPECT_NE(load_jobs("[[job]]\nname = \"j{{a}}\"\nmatrix = { a = [1], exclude = [{ a = 1 }] }\n")
                  .error.find("matrix.exclude leaves out every combination: there is no job"),
              std::string::npos);
}

TEST(BatchErrorsTest, NamesAreUnique) {
    EXPECT_EQ(
        load_jobs("[[job]]\nname = \"a\"\n[[job]]\nname = \"a\"\n[[job]]\nname = \"b-{{x}}\"\nexec = \"{{y}}\"\n"
                  "matrix = { x = [1], y = [1, 2] }\n[[job]]\nname = \"all\"\nexec = \"{{y}}\"\nmatrix.y = [1, 2]\n")
            .error,
        R"(batch.toml:5:8: error: another job is named "a" too
    name = "a"
           ^

batch.toml:7:8: error: another job is named "b-1" too
    name = "b-{{x}}"
           ^

batch.toml:11:8: error: all jobs of this table would be called "all": put a variable into the name
    name = "all"
           ^
)");
}

TEST(BatchErrorsTest, OneJobsOwnTroubleNamesTheJob) {
    EXPECT_EQ(load_jobs(R"([[job]]
name = "j-{{cpus}}"
limits = { vcpus = "{{cpus}}", memory = "1X" }
shares = ["./{{dir}}:/a", "./b:/a"]
matrix = { cpus = [1, 99, "x"], dir = ["ok"] }
)")
                  .error,
              R"(batch.toml:4:20: error: job j-99: limits.vcpus must be a whole number from 1 to 32, not 99
    limits = { vcpus = "{{cpus}}", memory = "1X" }
                       ^

batch.toml:4:20: error: job j-x: limits.vcpus must be a whole number from 1 to 32, not "x"
    limits = { vcpus = "{{cpus}}", memory = "1X" }
                       ^

batch.toml:4:41: error: limits.memory: "1X" is not a size: a whole number with K, M, G or T, or a bare number of MiB
    limits = { vcpus = "{{cpus}}", memory = "1X" }
                                            ^

batch.toml:5:27: error: shares[1]: /a is already the guest path of shares[0]
    shares = ["./{{dir}}:/a", "./b:/a"]
                              ^
)");
}

TEST(BatchErrorsTest, TooManyJobsAreRefusedUnmade) {
    std::string digits = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]";
    std::string text = "[[job]]\nname = \"j{{a}}{{b}}{{c}}{{d}}{{e}}{{f}}{{g}}\"\n[job.matrix]\n";
    for (char name : std::string("abcdefg")) text += fmt::format("{} = {}\n", name, digits);
    auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(load_jobs(text).error,
              "batch.toml:5:1: error: the batch makes 10000000 jobs, most of them here; batch.max_jobs allows 100000\n"
              "    a = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
              "    ^\n");
    for (int i = 0; i < 60; ++i) text += fmt::format("v{} = {}\n", i, digits);
    EXPECT_NE(load_jobs(text).error.find("the batch makes more than 2^64 jobs"), std::string::npos);
    std::string csv = "id\n";
    for (int i = 0; i < 20; ++i) csv += fmt::format("{}\n", i);
    Files files{{"/proj/t.csv", csv}};
    EXPECT_EQ(load_jobs("batch.max_jobs = 10\n[[job]]\nname = \"j{{id}}\"\nfrom = \"t.csv\"\n", files).error,
              "batch.toml:5:8: error: the batch makes at least 11 jobs, most of them here; batch.max_jobs allows 10\n"
              "    from = \"t.csv\"\n"
              "           ^\n");
    EXPECT_EQ(load_jobs("batch.max_jobs = 20\n[[job]]\nname = \"j{{id}}\"\nfrom = \"t.csv\"\n", files).error, "");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST(BatchErrorsTest, ARepeatedMistakeIsCounted) {
    std::string error = load_jobs("[[job]]\nname = \"J{{n}}\"\nmatrix.n = [1, 2, 3, 4, 5, 6, 7, 8]\n").error;
    EXPECT_NE(error.find("not \"J5\""), std::string::npos);
    EXPECT_EQ(error.find("not \"J6\""), std::string::npos);
    EXPECT_NE(error.find("3 more jobs have such an error here"), std::string::npos);
}

TEST(BatchErrorsTest, ValuesAreBounded) {
    std::string text = "[[job]]\nname = \"j{{n}}\"\nexec = [" +
                       [] {
                           std::string words;
                           for (int i = 0; i < 100; ++i) words += "\"{{v}}\", ";
                           return words;
                       }() +
                       "]\nmatrix = { n = [1], v = [\"" + std::string(100'000, 'x') + "\"] }\n";
    EXPECT_NE(load_jobs(text).error.find("with its values the job has more than 4194304 bytes"), std::string::npos);
}

}  // namespace
}  // namespace vmette::manifest
