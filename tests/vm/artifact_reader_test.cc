#include "vm/artifact_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace vmette::vm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::ArtifactRecord;

/// Keeps what came, and checks what the reader promises.
struct Kept final : ArtifactSink {
    Result<> begin(std::string_view path, std::uint64_t bytes) override {
        EXPECT_EQ(wire::artifact_path_problem(path), "");
        EXPECT_FALSE(open);
        open = true;
        announced = bytes;
        size = 0;
        calls.push_back("begin " + std::string(path));
        return refuse ? Result<>(fail(ErrorCode::protocol, "refused")) : Result<>();
    }
    void data(std::string_view bytes) override {
        EXPECT_TRUE(open);
        size += bytes.size();
        EXPECT_LE(size, announced);
        content += bytes;
    }
    void end() override {
        EXPECT_TRUE(open);
        EXPECT_EQ(size, announced);
        open = false;
        calls.emplace_back("end");
    }
    void abandon(std::string_view problem) override {
        open = false;
        calls.push_back("abandon " + std::string(problem));
    }
    void report(const ArtifactSummary& got) override {
        summary = got;
        calls.emplace_back("report");
    }
    void cut() override { calls.emplace_back("cut"); }

    std::vector<std::string> calls;
    std::string content;
    ArtifactSummary summary;
    std::uint64_t announced = 0, size = 0;
    bool open = false, refuse = false;
};

std::string record(ArtifactRecord type, std::string_view payload) {
    std::string out;
    wire::append_artifact_record(out, type, payload);
    return out;
}
std::string file(const std::string& path, std::uint64_t bytes, std::uint32_t entry = 0) {
    wire::ArtifactFile message;
    message.entry = entry;
    message.path = path;
    message.bytes = bytes;
    return record(ArtifactRecord::file, wire::encode(message));
}
std::string chunk(std::string_view bytes) { return record(ArtifactRecord::data, bytes); }
std::string end(const std::string& problem = "") {
    return record(ArtifactRecord::end, wire::encode(wire::ArtifactEnd{problem}));
}
std::string report(std::size_t entries = 1) {
    wire::ArtifactReport message;
    message.matched.resize(entries);
    message.beyond.resize(entries);
    message.irregular = {~0ULL, ~0ULL, "\x1b[31mlink"};
    return record(ArtifactRecord::report, wire::encode(message));
}

class ArtifactReaderTest : public ::testing::Test {
protected:
    Kept sink_;
    ArtifactRequest request_{{{"/out/**", 100}}, &sink_};
    std::optional<ArtifactReader> reader_{std::in_place, request_};

    std::string offence(std::string_view bytes) {
        sink_ = {};
        reader_.emplace(request_);
        auto fed = reader_->feed(bytes);
        if (fed) return "taken";
        EXPECT_EQ(fed.error().code, ErrorCode::protocol);
        return fed.error().text();
    }
};

TEST_F(ArtifactReaderTest, FilesComeHoweverTheStreamIsCut) {
    auto stream = file("out/a", 5) + chunk("he") + chunk("llo") + end() + file("out/b/c", 0) + end() +
                  file("out/d", 9) + chunk("x") + end("Input/output error\x1b[2J") + report();
    for (std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{7}, stream.size()}) {
        sink_ = {};
        reader_.emplace(request_);
        for (std::size_t at = 0; at < stream.size(); at += step) {
            auto fed = reader_->feed(std::string_view(stream).substr(at, step));
            ASSERT_TRUE(fed) << fed.error().text();
        }
        EXPECT_THAT(sink_.calls, ElementsAre("begin out/a", "end", "begin out/b/c", "end", "begin out/d",
                                             HasSubstr("abandon Input/output error"), "report"));
        EXPECT_THAT(sink_.calls[5], ::testing::Not(HasSubstr("\x1b")));
        EXPECT_EQ(sink_.content, "hellox");
        EXPECT_FALSE(reader_->awaits_more());
    }
    // Counts that would overflow a database, and an example that would colour a terminal.
    EXPECT_EQ(sink_.summary.irregular.files, static_cast<std::uint64_t>(INT64_MAX));
    EXPECT_THAT(sink_.summary.irregular.example, ::testing::Not(HasSubstr("\x1b")));
}

TEST_F(ArtifactReaderTest, OffencesEndTheStreamAndAreNamed) {
    EXPECT_THAT(offence(record(static_cast<ArtifactRecord>(9), "x")), HasSubstr("unknown type 9"));
    EXPECT_THAT(offence(chunk("x")), HasSubstr("'data' without a file"));
    EXPECT_THAT(offence(end()), HasSubstr("'end' without a file"));
    EXPECT_THAT(offence(file("out/a", 1) + file("out/b", 1)), HasSubstr("'file' inside a file"));
    EXPECT_THAT(offence(file("out/a", 1) + report()), HasSubstr("'report' inside a file"));
    EXPECT_THAT(offence(file("out/a", 1) + chunk("xx")), HasSubstr("more of an artifact than the 1 bytes"));
    EXPECT_THAT(offence(file("out/a", 2) + chunk("x") + end()), HasSubstr("lacks 1 of its bytes"));
    EXPECT_THAT(offence(report() + report()), HasSubstr("after its report"));
    EXPECT_THAT(offence(report(2)), HasSubstr("malformed artifact 'report'"));
    EXPECT_THAT(offence(record(ArtifactRecord::file, "\x01")), HasSubstr("malformed artifact 'file'"));
    std::string huge("\x01\xff\xff\xff\xff", 5);
    EXPECT_THAT(offence(huge), HasSubstr("'file' with 4294967295 bytes"));
    EXPECT_THAT(offence(record(ArtifactRecord::data, "")), HasSubstr("'data' with 0 bytes"));
}

TEST_F(ArtifactReaderTest, OnlyWhatWasAskedForMayComeAndUnderAPlainPath) {
    EXPECT_THAT(offence(file("etc/passwd", 1)), HasSubstr("was not asked for: etc/passwd"));
    EXPECT_THAT(offence(file("out/a", 1, 7)), HasSubstr("was not asked for"));
    for (const char* path : {"/out/a", "out/../../etc/cron.d/x", "out//a", "out/./a", "", "out/a\nb", "out/\x1b[1m"})
        EXPECT_THAT(offence(file(path, 1)), HasSubstr("an artifact whose path is")) << path;
    EXPECT_THAT(offence(file("out/" + std::string(300, 'n'), 1)), HasSubstr("too long"));
    EXPECT_EQ(offence(file("out/a", 1)), "taken");
}

TEST_F(ArtifactReaderTest, BytesFilesAndNamesAreBounded) {
    EXPECT_THAT(offence(file("out/a", 101)), HasSubstr("more than the 100 B"));
    EXPECT_THAT(offence(file("out/a", 60) + chunk(std::string(60, 'x')) + end() + file("out/b", 41)),
                HasSubstr("more than the 100 B"));
    EXPECT_THAT(offence(file("out/a", ~0ULL)), HasSubstr("more than the 100 B"));
    std::string many;
    for (std::uint32_t i = 0; i <= wire::kMaxArtifactFiles; ++i) many += file(fmt::format("out/{}", i), 0) + end();
    EXPECT_THAT(offence(many), HasSubstr("more artifacts than the 20000"));
    std::string named, folder = "out";
    while (folder.size() < 1800) folder += "/" + std::string(200, 'd');
    for (int i = 0; i < 3000; ++i) named += file(fmt::format("{}/{}", folder, i), 0) + end();
    EXPECT_THAT(offence(named), HasSubstr("more artifacts than"));
}

TEST_F(ArtifactReaderTest, SinkCanRefuseAndStop) {
    sink_.refuse = true;
    auto fed = reader_->feed(file("out/a", 1));
    ASSERT_FALSE(fed);
    EXPECT_EQ(fed.error().text(), "refused");

    sink_ = {};
    reader_.emplace(request_);
    ASSERT_TRUE(reader_->feed(file("out/a", 5) + chunk("he")));
    reader_->stop();
    EXPECT_TRUE(reader_->feed("anything at all, for ever"));
    EXPECT_EQ(sink_.content, "he");
    EXPECT_FALSE(reader_->awaits_more());
}

TEST_F(ArtifactReaderTest, AnyChangeOfAStreamIsTakenOrRefusedAndNeverMore) {
    auto stream = file("out/a", 5) + chunk("hello") + end() + file("out/b", 3) + chunk("abc") + end() + report();
    std::mt19937 random(11);
    int refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        auto changed = stream;
        for (auto n = random() % 4; n > 0; --n) {
            auto at = random() % changed.size();
            switch (random() % 3) {
                case 0:
                    changed[at] = static_cast<char>(random());
                    break;
                case 1:
                    changed.erase(at, random() % 8);
                    break;
                default:
                    changed.insert(at, changed.substr(random() % changed.size(), random() % 16));
            }
            if (changed.empty()) changed = "x";
        }
        sink_ = {};
        reader_.emplace(request_);
        refused += reader_->feed(changed) ? 0 : 1;
        EXPECT_LE(sink_.content.size(), 100U);
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace vmette::vm
