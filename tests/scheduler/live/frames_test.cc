#include "scheduler/live/frames.h"

#include <gtest/gtest.h>

namespace vmette::scheduler::live {
namespace {

Request sample() {
    Request request;
    request.kind = static_cast<std::uint8_t>(Kind::exec);
    request.argv = {"sh", "-c", std::string("not \xff UTF-8 \0 and a zero", 22), ""};
    request.env = {"A=1", "B="};
    request.workdir = "/work";
    request.tty = true;
    request.columns = 120;
    request.rows = 40;
    return request;
}

std::vector<Frame> all_of(FrameReader& reader) {
    std::vector<Frame> frames;
    for (;;) {
        auto frame = reader.next();
        EXPECT_TRUE(frame) << frame.error().text();
        if (!frame || !*frame) return frames;
        frames.push_back(**frame);
    }
}

std::string offence(std::string_view bytes, bool from_client = true) {
    FrameReader reader(from_client);
    reader.feed(bytes);
    auto frame = reader.next();
    return frame ? "" : frame.error().message;
}

TEST(LiveFramesTest, RequestComesBackAsItWas) {
    auto request = unpack<Request>(pack(sample()));
    ASSERT_TRUE(request);
    EXPECT_EQ(*request, sample());
    EXPECT_FALSE(request->user) << "absent is not empty";
    auto empty_user = sample();
    empty_user.user = "";
    EXPECT_EQ(unpack<Request>(pack(empty_user))->user, "");
}

TEST(LiveFramesTest, EveryTruncationAndEveryAdditionIsRefused) {
    std::string whole = pack(sample());
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(unpack<Request>(std::string_view(whole).substr(0, size))) << size;
    EXPECT_FALSE(unpack<Request>(whole + '\0'));
}

TEST(LiveFramesTest, ListThatClaimsMoreThanTheBytesHoldSetsNothingAside) {
    detail::Packer packer;
    packer(kMagic), packer(kVersion), packer(std::uint8_t{3}), packer(false), packer(std::uint32_t{0xFFFFFFFF});
    EXPECT_FALSE(unpack<Request>(packer.take()));
}

TEST(LiveFramesTest, FramesComeOutWhateverThePiecesAre) {
    std::string bytes =
        encode_frame(Type::in, "abc") + encode_frame(Type::in_end, "") + encode_frame(Type::signal, Number{15});
    FrameReader whole(true), slow(true);
    whole.feed(bytes);
    auto frames = all_of(whole);
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_EQ(frames[0], (Frame{Type::in, "abc"}));
    EXPECT_EQ(unpack<Number>(frames[2].payload)->value, 15u);
    std::vector<Frame> slowly;
    for (char c : bytes) {
        slow.feed({&c, 1});
        for (auto& frame : all_of(slow)) slowly.push_back(frame);
    }
    EXPECT_EQ(slowly, frames);
    EXPECT_FALSE(slow.is_cut());
}

TEST(LiveFramesTest, SizesAreJudgedByTheHeaderAlone) {
    for (auto [type, limit] :
         {std::pair{Type::request, kMaxRequest}, {Type::in, kMaxChunk}, {Type::resize, kMaxControl}}) {
        std::string header = encode_frame(type, std::string(limit + 1, 'x')).substr(0, kHeaderSize);
        EXPECT_EQ(offence(header), fmt::format("a frame of {} bytes, where {} are allowed", limit + 1, limit));
        EXPECT_EQ(offence(encode_frame(type, std::string(limit, 'x'))), "");
    }
}

TEST(LiveFramesTest, GarbageUnknownTypesFlagsAndTheOtherSidesTypesAreRefused) {
    constexpr std::string_view kSaid = "the peer does not speak the protocol of a run's socket";
    EXPECT_EQ(offence("GET / HTTP/1.1\r\n"), kSaid);
    EXPECT_EQ(offence(encode_frame(static_cast<Type>(9), "")), kSaid);
    EXPECT_EQ(offence(encode_frame(Type::out, "x")), kSaid) << "a client has no output";
    EXPECT_EQ(offence(encode_frame(Type::in, "x"), false), kSaid);
    std::string flags = encode_frame(Type::in_end, "");
    flags[6] = 1;
    EXPECT_EQ(offence(flags), kSaid);
}

}  // namespace
}  // namespace vmette::scheduler::live
