#include "rootfs/source.h"

#include <gtest/gtest.h>

#include "rootfs/report.h"

namespace vmette::rootfs {
namespace {

const std::string kHex(64, 'a');

std::string error_of(const std::string& source) {
    auto parsed = parse_url_source(source, "tar");
    return parsed ? "no error" : parsed.error().message;
}

TEST(SourceTest, FileIsAnAbsolutePathWithPercentEscapes) {
    auto parsed = parse_url_source("tar+file:///a%20b/c%2fd.tar", "tar");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->file, "/a b/c/d.tar");
    EXPECT_TRUE(parsed->is_file());
    EXPECT_EQ(parse_url_source("tar+file:///100%.tar", "tar")->file, "/100%.tar");
}

TEST(SourceTest, UrlKeepsItsSpellingWithoutTheChecksum) {
    auto parsed = parse_url_source("tar+https://h/x.tar?q=1#sha256=" + std::string(64, 'A'), "tar");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->url, "https://h/x.tar?q=1");
    EXPECT_EQ(parsed->sha256, kHex);
}

TEST(SourceTest, SpellingsThatAreNoneAreRefused) {
    EXPECT_EQ(error_of("tar+ftp://h/x"), "tar+ftp://h/x: expected tar+file:///path, tar+http://… or tar+https://…");
    EXPECT_EQ(error_of("tar+file://x.tar"),
              "tar+file://x.tar: a file is named by its absolute path (tar+file:///path)");
    EXPECT_EQ(error_of("tar+file:///a%00b"),
              "tar+file:///a%00b: a file is named by its absolute path (tar+file:///path)");
    EXPECT_EQ(error_of("tar+file:///x#md5=1"), "tar+file:///x#md5=1: after # only sha256=… is known");
    EXPECT_EQ(error_of("tar+file:///x#sha256=12"), "tar+file:///x#sha256=12: a SHA-256 has 64 hexadecimal digits");
    EXPECT_EQ(error_of("tar+https:///x"), "tar+https:///x: the URL names no host");
    EXPECT_EQ(error_of("tar+https://h/a b"), "tar+https://h/a b: a URL holds no blanks");
}

TEST(SourceTest, CredentialsInAUrlAreRefusedAndNotRepeated) {
    EXPECT_EQ(error_of("tar+https://me:secret@h/x"),
              "the source has a user name or a password in its URL, where it would be stored and shown");
}

TEST(SourceTest, KeysTellSpellingsApart) {
    EXPECT_NE(parse_url_source("tar+file:///a", "tar")->key(), parse_url_source("tar+file:///b", "tar")->key());
}

TEST(ReportTest, LinesComeBackAsTheyWereSent) {
    Error error{ErrorCode::no_space, "tab\there\nand \\ there", nullptr};
    auto line = encode_line(error);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    auto decoded = decode_line(std::string_view(line).substr(0, line.size() - 1));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<Error>(*decoded).message, error.message);
    EXPECT_EQ(std::get<Error>(*decoded).code, ErrorCode::no_space);

    line = encode_line(DoneLine{{{"a\tb", "1"}, {"", "x\n"}}});
    decoded = decode_line(std::string_view(line).substr(0, line.size() - 1));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<DoneLine>(*decoded).fields, (Fields{{"a\tb", "1"}, {"", "x\n"}}));
}

TEST(ReportTest, OtherLinesAreRefused) {
    for (const char* line :
         {"", "P", "P\t1", "P\t1\t-2", "P\t1\t99999999999999999999", "E\tnot-a-code\tx", "D\ta", "X"})
        EXPECT_FALSE(decode_line(line)) << line;
}

}  // namespace
}  // namespace vmette::rootfs
