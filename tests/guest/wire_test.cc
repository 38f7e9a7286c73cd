#include "guest/protocol.h"

#include <gtest/gtest.h>

namespace vmette::wire {
namespace {

Setup full_setup() {
    Setup setup;
    setup.run_id = "01J";
    setup.hostname = "box";
    setup.unix_time_ns = 1'800'000'000'000'000'001;
    setup.entropy = std::string("\0\xff\x01", 3);
    setup.root = static_cast<std::uint8_t>(RootKind::plan9);
    setup.root_tag = "root";
    setup.upper = static_cast<std::uint8_t>(UpperKind::scratch);
    setup.scratch_serial = "scratch";
    setup.switch_root = true;
    setup.shares = {{"src", 2, "/src", true, false}, {"out", 1, "/out", false, true}};
    setup.disks = {{"disk0", "/data", true}};
    setup.network = {true, "10.0.2.15", "10.0.2.2", "10.0.2.3", "52:54:00:00:00:01", 24, 1400};
    setup.ca_certs = {"-----BEGIN", ""};
    setup.secret_files = {{"TOKEN", "s3cret"}};
    setup.memory_reserve = 1ULL << 40;
    setup.pids = 77;
    setup.call_port = 0xFFFFFFFE;
    return setup;
}

Exec full_exec() {
    Exec exec;
    exec.argv = {"sh", "-c", ""};
    exec.env = {{"A", "1"}, {"B", ""}};
    exec.workdir = "/w";
    exec.user = "1000:1000";
    exec.tty = true;
    exec.columns = 132;
    exec.rows = 50;
    exec.stdin_open = true;
    return exec;
}

Usage full_usage() { return Usage{1, 2, 3, 4, 5, 6, {"sync /out: I/O error"}}; }
GuestHello full_hello() { return GuestHello{kMagic, kVersion, "6.1", 1 << 28, 4, 12345}; }
Ready full_ready() { return Ready{99, {"one", "two"}}; }

template <class T>
class WireMessageTest : public ::testing::Test {
public:
    static T full();
};
template <>
Setup WireMessageTest<Setup>::full() {
    return full_setup();
}
template <>
Exec WireMessageTest<Exec>::full() {
    return full_exec();
}
template <>
Usage WireMessageTest<Usage>::full() {
    return full_usage();
}
template <>
GuestHello WireMessageTest<GuestHello>::full() {
    return full_hello();
}
template <>
Ready WireMessageTest<Ready>::full() {
    return full_ready();
}
template <>
Started WireMessageTest<Started>::full() {
    return Started{12, 34};
}
template <>
Exited WireMessageTest<Exited>::full() {
    return Exited{true, 9, true, 5};
}
template <>
wire::Failure WireMessageTest<wire::Failure>::full() {
    return wire::Failure{3, "no"};
}
template <>
Credit WireMessageTest<Credit>::full() {
    return Credit{4, 65536};
}
template <>
Resize WireMessageTest<Resize>::full() {
    return Resize{80, 24};
}
template <>
SignalRequest WireMessageTest<SignalRequest>::full() {
    return SignalRequest{15};
}

using Messages = ::testing::Types<Setup, Exec, Usage, GuestHello, Ready, Started, Exited, wire::Failure, Credit, Resize,
                                  SignalRequest>;
TYPED_TEST_SUITE(WireMessageTest, Messages);

TYPED_TEST(WireMessageTest, SurvivesTheRoundTrip) {
    const std::string bytes = encode(TestFixture::full());
    TypeParam back;
    ASSERT_TRUE(decode(bytes, back));
    EXPECT_EQ(encode(back), bytes);
}

TYPED_TEST(WireMessageTest, IsRefusedWhenCutAtAnyByte) {
    const std::string bytes = encode(TestFixture::full());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        TypeParam back;
        EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size), back)) << "cut at " << size;
    }
}

TYPED_TEST(WireMessageTest, IsRefusedWithBytesLeftOver) {
    TypeParam back;
    EXPECT_FALSE(decode(encode(TestFixture::full()) + '\0', back));
}

TEST(WireTest, FieldsArriveAsTheyWereSent) {
    wire::Setup back;
    ASSERT_TRUE(decode(encode(full_setup()), back));
    EXPECT_EQ(back.hostname, "box");
    EXPECT_EQ(back.entropy, std::string("\0\xff\x01", 3));
    EXPECT_EQ(back.unix_time_ns, 1'800'000'000'000'000'001U);
    ASSERT_EQ(back.shares.size(), 2U);
    EXPECT_EQ(back.shares[1].path, "/out");
    EXPECT_FALSE(back.shares[1].read_only);
    EXPECT_TRUE(back.shares[1].overlay);
    EXPECT_EQ(back.network.prefix, 24U);
    EXPECT_EQ(back.secret_files[0].value, "s3cret");
    EXPECT_EQ(back.pids, 77U);
    EXPECT_EQ(back.call_port, 0xFFFFFFFEU);
}

TEST(WireTest, IntegersAreLittleEndian) {
    Writer writer;
    writer.u32(0x01020304);
    EXPECT_EQ(writer.bytes(), std::string("\x04\x03\x02\x01", 4));
}

TEST(WireTest, CountBeyondTheBytesThatAreLeftIsRefused) {
    Writer writer;
    writer.u64(0);
    writer.u32(0xFFFFFFFF);
    Ready ready;
    EXPECT_FALSE(decode(writer.bytes(), ready));
    EXPECT_TRUE(ready.warnings.empty());
}

TEST(WireTest, CountBeyondTheLongestListIsRefused) {
    Writer writer;
    writer.u64(0);
    writer.u32(kMaxList + 1);
    Ready ready;
    EXPECT_FALSE(decode(writer.bytes() + std::string((kMaxList + 1) * 4, '\0'), ready));
    EXPECT_TRUE(ready.warnings.empty());
}

TEST(WireTest, StringBeyondTheLongestIsRefused) {
    wire::Failure failure;
    EXPECT_TRUE(decode(encode(wire::Failure{1, std::string(kMaxString, 'x')}), failure));
    EXPECT_FALSE(decode(encode(wire::Failure{1, std::string(kMaxString + 1, 'x')}), failure));
}

TEST(WireTest, BooleanOtherThanZeroAndOneIsRefused) {
    std::string bytes = encode(Exited{true, 0, false, 0});
    bytes[0] = 2;
    Exited back;
    EXPECT_FALSE(decode(bytes, back));
}

TEST(WireHeaderTest, SurvivesTheRoundTrip) {
    char bytes[kHeaderSize];
    encode_header(bytes, Header{kMaxPayload, Type::exited, 0xFFFE});
    Header back;
    ASSERT_TRUE(decode_header(bytes, back));
    EXPECT_EQ(back.length, kMaxPayload);
    EXPECT_EQ(back.type, Type::exited);
    EXPECT_EQ(back.stream, 0xFFFE);
}

TEST(WireHeaderTest, PayloadBeyondTheLimitIsRefused) {
    char bytes[kHeaderSize];
    encode_header(bytes, Header{kMaxPayload + 1, Type::out, 1});
    Header back;
    EXPECT_FALSE(decode_header(bytes, back));
}

TEST(WireHeaderTest, UnknownFlagsAreRefused) {
    char bytes[kHeaderSize];
    encode_header(bytes, Header{0, Type::beat, 0});
    bytes[5] = 1;
    Header back;
    EXPECT_FALSE(decode_header(bytes, back));
}

TEST(WireHeaderTest, FrameIsHeaderAndPayload) {
    EXPECT_EQ(frame(Type::in, 3, "ab"), std::string("\x02\0\0\0\x22\0\x03\0ab", 10));
}

}  // namespace
}  // namespace vmette::wire
