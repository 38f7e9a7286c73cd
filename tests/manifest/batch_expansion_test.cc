/// Templates, matrices and files of jobs.

#include <gtest/gtest.h>

#include "manifest/batch_helpers.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_batch_request;
using testing::load_batch_text;
using testing::load_jobs;
using Names = std::vector<std::string>;

TEST(MatrixTest, EveryCombinationButTheExcludedIsAJob) {
    auto loaded = load_jobs(R"(
[[job]]
name = "fix-{{issue}}-{{model}}"
exec = "agent --model {{model}} --issue {{issue}}"
[job.matrix]
issue = [101, 102, 103]
model = ["small", "large"]
exclude = [{ issue = 102, model = "large" }]
)");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.names(),
              (Names{"fix-101-small", "fix-101-large", "fix-102-small", "fix-103-small", "fix-103-large"}));
    EXPECT_EQ(loaded.shell(1), "agent --model 'large' --issue '101'");
    EXPECT_EQ(loaded.batch.jobs, 5U);
    EXPECT_EQ(loaded.batch.groups, Names{"fix-{{issue}}-{{model}}"});
}

TEST(MatrixTest, ValuesAreTextsNumbersBooleansAndDates) {
    auto loaded =
        load_jobs("[[job]]\nname = \"j{{n}}\"\nexec = [\"{{n}}\"]\nmatrix.n = [1, 2.5, true, 2024-01-02, \"x\"]\n");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.names(), (Names{"j1", "j2.5", "jtrue", "j2024-01-02", "jx"}));
    EXPECT_EQ(loaded.argv(2), Names{"true"});
}

TEST(MatrixTest, NumbersAndBooleansMayComeFromAVariable) {
    auto loaded = load_jobs(R"(
[[job]]
name = "j{{cpus}}"
tty = "{{tty}}"
priority = "{{cpus}}"
limits.vcpus = "{{cpus}}"
limits.memory = "{{cpus}}G"
limits.timeout = "{{cpus}}0"
retry.max = "{{cpus}}"
matrix = { cpus = [1, 2], tty = [true] }
)");
    ASSERT_EQ(loaded.error, "");
    const BatchJob& job = loaded.jobs[1];
    EXPECT_EQ(job.priority, 2);
    EXPECT_EQ(job.retry.max, 2U);
    EXPECT_EQ(job.sandbox.limits.vcpus, 2U);
    EXPECT_EQ(job.sandbox.limits.memory, 2 * kGiB);
    EXPECT_EQ(job.sandbox.limits.timeout, std::chrono::seconds(20));
    EXPECT_TRUE(job.sandbox.tty);
    EXPECT_EQ(loaded.jobs[0].sandbox.limits.vcpus, 1U);
}

TEST(TemplateTest, StandInEveryStringOfTheSandboxAndTheJob) {
    auto loaded = load_batch_text(R"(
[sandbox]
rootfs = "./images/{{ n }}"
workdir = "/w/{{n}}"
env = { N = "n={{n}}" }
[sandbox.metadata]
raw = "{{ not mine }}"
[[job]]
name = "j{{n}}"
exec = ["run", "{{n}}", "--x={{n}}"]
shares = ["./work/{{n}}:/work:rw", "./all:/all"]
artifacts = [{ path = "/out/{{n}}/*" }]
labels.n = "{{n}}"
matrix.n = ["a", "b"]
)");
    ASSERT_EQ(loaded.error, "");
    const Sandbox& sandbox = loaded.jobs[1].sandbox;
    EXPECT_EQ(sandbox.rootfs.source, "/proj/images/b");
    EXPECT_EQ(sandbox.workdir, "/w/b");
    EXPECT_EQ(sandbox.env[0].second, "n=b");
    EXPECT_EQ(loaded.argv(1), (Names{"run", "b", "--x=b"}));
    EXPECT_EQ(sandbox.shares[0].host, "/proj/work/b");
    EXPECT_EQ(sandbox.shares[0].mode, ShareMode::rw);
    EXPECT_EQ(sandbox.shares[1].tag, "all");
    EXPECT_EQ(sandbox.artifacts[0].path, "/out/b/*");
    EXPECT_EQ(sandbox.labels.at("n"), "b");
    EXPECT_EQ(sandbox.metadata, "raw = \"{{ not mine }}\"\n");
}

TEST(TemplateTest, FourBracesAreALiteralPair) {
    auto loaded = load_jobs(
        "[[job]]\nname = \"a\"\nexec = \"docker inspect -f '{{{{.State}}'\"\n"
        "[[job]]\nname = \"b{{n}}\"\nexec = \"echo {{{{ {{n}} }}\"\nmatrix.n = [1]\n");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.shell(0), "docker inspect -f '{{.State}}'");
    EXPECT_EQ(loaded.shell(1), "echo {{ '1' }}");
}

TEST(TemplateTest, TheEnvironmentIsExpandedInWhatIsWrittenNeverInAValue) {
    Files files;
    LoadRequest request = testing::batch_request(R"(
[sandbox]
rootfs = "${ROOT}"
env = { A = "${X}/{{v}}", B = "${X}", C = "{{v}}$$" }
[[job]]
name = "${X}-{{n}}"
exec = "echo ${X} {{v}}"
matrix = { n = [1], v = ["${X}$$", "${SECRET}"] }
)",
                                                 files);
    request.environment = [](const std::string& name) -> std::optional<std::string> {
        if (name == "X") return "{{n}}x";
        if (name == "ROOT") return "/r";
        return "secret";
    };
    auto loaded = load_batch_request(request);
    // The matrix is the author's text: it is expanded as all the manifest is, once.
    EXPECT_NE(loaded.error.find("name must be"), std::string::npos) << loaded.error;

    Files rows{{"/proj/t.jsonl", R"({"v": "${HOME} $$ {{v}}"})"
                                 "\n"}};
    request = testing::batch_request(
        "sandbox.rootfs = \"/r\"\n[[job]]\nname = \"j-{{!n}}\"\nenv = { A = \"${X}-{{v}}\" }\n"
        "matrix.n = [1]\nfrom = \"t.jsonl\"\n",
        rows);
    request.environment = [](const std::string&) { return "{{n}}"; };
    loaded = load_batch_request(request);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.jobs[0].sandbox.env[0].second, "{{n}}-${HOME} $$ {{v}}");
}

TEST(RowsTest, JsonLinesMakeAJobALine) {
    Files files{{"/proj/tasks.jsonl",
                 "\xEF\xBB\xBF"
                 R"({"id": 1, "prompt": "it's \"a\" $HOME\n2nd", "extra": null})"
                 "\r\n"
                 "\n"
                 R"({ "prompt" : [1, {"a": "}"}], "id":"two", "f": 1.50, "b": true })"}};
    auto loaded = load_jobs(
        "[[job]]\nname = \"task-{{id}}\"\nfrom = \"tasks.jsonl\"\nexec = [\"agent\", \"--prompt\", \"{{prompt}}\"]\n",
        files);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.names(), (Names{"task-1", "task-two"}));
    EXPECT_EQ(loaded.argv(0), (Names{"agent", "--prompt", "it's \"a\" $HOME\n2nd"}));
    EXPECT_EQ(loaded.argv(1).back(), R"([1, {"a": "}"}])") << "as it is spelled";
}

TEST(RowsTest, CsvHasQuotesNewlinesAndCarriageReturns) {
    Files files{{"/proj/t.csv", "\xEF\xBB\xBFid,prompt,note\r\n1,\"say \"\"hi\"\", twice\nline 2\",\r\n\r\n2,,x"}};
    auto loaded = load_jobs(
        "[[job]]\nname = \"t{{id}}\"\nfrom = \"t.csv\"\nexec = [\"a\", \"{{prompt}}\", \"{{note}}\"]\n", files);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.argv(0), (Names{"a", "say \"hi\", twice\nline 2", ""}));
    EXPECT_EQ(loaded.argv(1), (Names{"a", "", "x"}));
}

TEST(RowsTest, AMatrixMultipliesTheRows) {
    Files files{{"/proj/t.csv", "id\n1\n2\n"}};
    auto loaded = load_jobs("[[job]]\nname = \"t{{id}}-{{m}}\"\nfrom = \"t.csv\"\nmatrix.m = [\"a\", \"b\"]\n", files);
    EXPECT_EQ(loaded.names(), (Names{"t1-a", "t1-b", "t2-a", "t2-b"}));
}

TEST(RowsTest, ARowOfMoreThanABufferIsRead) {
    std::string prompt(500'000, 'p');
    Files files{
        {"/proj/t.jsonl", fmt::format("{{\"id\": 1, \"p\": \"{0}\"}}\n{{\"id\": 2, \"p\": \"{0}\"}}\n", prompt)}};
    auto loaded = load_jobs("[[job]]\nname = \"t{{id}}\"\nfrom = \"t.jsonl\"\nexec = [\"a\", \"{{p}}\"]\n", files);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.argv(1)[1], prompt);
}

}  // namespace
}  // namespace vmette::manifest
