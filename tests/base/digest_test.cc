#include "base/digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/layout.h"

namespace vmette {
namespace {

// Vectors: NIST's SHA-256 examples (FIPS 180-4), and the empty message.
constexpr std::string_view kOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view kOfMillionA = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(DigestTest, KnownVectors) {
    EXPECT_EQ(sha256_hex(""), kOfNothing);
    EXPECT_EQ(sha256_hex("abc"), kOfAbc);
    EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')), kOfMillionA);
}

// Vectors: RFC 4231, test cases 2 and 6 (a key longer than a block).
TEST(DigestTest, HmacOfKnownVectors) {
    EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac_sha256_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(DigestTest, RandomHexIsAsLongAsAskedFor) {
    EXPECT_EQ(random_hex(0), "");
    EXPECT_EQ(random_hex(32).size(), 64U);
    EXPECT_NE(random_hex(32), random_hex(32));
}

TEST(DigestTest, PiecesMakeTheSameDigest) {
    Sha256 hash;
    for (int i = 0; i < 1000; ++i) hash.update(std::string(1000, 'a'));
    Sha256 moved = std::move(hash);
    EXPECT_EQ(moved.hex(), kOfMillionA);
}

TEST(DigestTest, FileIsHashedFromItsStartWhereverItStands) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    auto path = folder->path() / "f";
    auto fd = open_file(path, O_RDWR | O_CREAT);
    ASSERT_TRUE(fd);
    ASSERT_TRUE(write_all(fd->get(), "abc"));
    EXPECT_EQ(sha256_fd(fd->get(), "f"), kOfAbc);
    EXPECT_EQ(::lseek(fd->get(), 0, SEEK_CUR), 3) << "its position stays";
    EXPECT_EQ(sha256_file(path), kOfAbc);
    EXPECT_EQ(sha256_file("/dev/null"), kOfNothing);
    EXPECT_EQ(sha256_file(folder->path() / "none").error().code, ErrorCode::not_found);
    EXPECT_EQ(sha256_file(folder->path()).error().text(),
              fmt::format("read {}: Is a directory", folder->path().string()));
}

TEST(UlidTest, FormIsThatOfTheSpecification) {
    std::string id = make_ulid(1'469'918'176'385);
    EXPECT_EQ(id.size(), 26u);
    EXPECT_EQ(id.substr(0, 10), "01aryz6s41") << "the time of the specification's example";
    EXPECT_EQ(id.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz"), id.npos);
    EXPECT_EQ(make_ulid(0).substr(0, 10), "0000000000");
    EXPECT_EQ(make_ulid((1LL << 48) - 1).substr(0, 10), "7zzzzzzzzz");
}

TEST(UlidTest, TextsSortAsTimesDo) {
    std::vector<std::string> ids;
    for (std::int64_t ms = 1'700'000'000'000; ids.size() < 500; ms += 1 + static_cast<std::int64_t>(ids.size() * 37))
        ids.push_back(make_ulid(ms));
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST(UlidTest, IdsOfOneInstantDiffer) {
    std::set<std::string> ids;
    for (int i = 0; i < 10'000; ++i) ids.insert(make_ulid(1'700'000'000'000));
    EXPECT_EQ(ids.size(), 10'000u);
}

}  // namespace
}  // namespace vmette
