#include "base/fd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "base/layout.h"

namespace vmette {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
bool closes_on_exec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

template <typename T>
T value_of(Result<T> result) {
    return std::move(result).value();
}

TEST(FdTest, OwnsItsDescriptor) {
    int number = -1;
    {
        Fd fd = value_of(open_file("/dev/null", O_RDONLY));
        number = fd.get();
        Fd moved = std::move(fd);
        EXPECT_FALSE(fd);  // NOLINT(bugprone-use-after-move): what is left must be empty
        EXPECT_EQ(moved.get(), number);
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(FdTest, AssignmentClosesTheOldAndReleaseGivesUp) {
    Fd fd = value_of(open_file("/dev/null", O_RDONLY));
    int old = fd.get();
    Fd other = value_of(open_file("/dev/null", O_RDONLY));
    fd = std::move(other);
    EXPECT_FALSE(is_open(old));
    int number = fd.release();
    EXPECT_FALSE(fd);
    EXPECT_TRUE(is_open(number));
    ::close(number);
}

TEST(FdTest, EveryDescriptorClosesOnExec) {
    auto file = value_of(open_file("/dev/null", O_RDONLY));
    auto copy = value_of(duplicate(file.get()));
    auto pipe = value_of(make_pipe());
    auto pair = value_of(make_socketpair());
    ASSERT_TRUE(send_fd(pair[0].get(), file.get()));
    auto received = value_of(receive_fd(pair[1].get()));
    for (const Fd* fd : {&file, &copy, &pipe[0], &pipe[1], &pair[0], &pair[1], &received})
        EXPECT_TRUE(closes_on_exec(fd->get()));
    EXPECT_GT(copy.get(), 2);
}

TEST(FdTest, NonBlockingWhenAsked) {
    auto blocking = [](const Fd& fd) { return (::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0; };
    EXPECT_TRUE(blocking(value_of(make_pipe())[0]));
    EXPECT_FALSE(blocking(value_of(make_pipe(true))[1]));
    EXPECT_FALSE(blocking(value_of(make_socketpair(true))[0]));
    auto pipe = value_of(make_pipe());
    ASSERT_TRUE(set_non_blocking(pipe[0].get(), true));
    EXPECT_FALSE(blocking(pipe[0]));
    ASSERT_TRUE(set_non_blocking(pipe[0].get(), false));
    EXPECT_TRUE(blocking(pipe[0]));
}

TEST(FdTest, ErrorsNameTheFile) {
    EXPECT_EQ(open_file("/nonexistent/x", O_RDONLY).error().text(), "open /nonexistent/x: No such file or directory");
    EXPECT_EQ(read_file("/", 10).error().text(), "read /: Is a directory");
    EXPECT_FALSE(duplicate(-1));
    EXPECT_FALSE(set_non_blocking(-1, true));
}

TEST(FdTest, FilesAreReadWholeOrRefused) {
    auto folder = value_of(TempDir::make());
    auto path = folder.path() / "f";
    auto fd = value_of(open_file(path, O_WRONLY | O_CREAT));
    std::string text(200'000, 'x');
    ASSERT_TRUE(write_all(fd.get(), text));
    EXPECT_EQ(read_file(path, text.size()), text);
    auto refused = read_file(path, text.size() - 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::bad_input);
    EXPECT_EQ(refused.error().text(), path.string() + " is larger than 199999 bytes");
}

TEST(FdTest, WritesGoOnWhereThePipeWasFull) {
    auto pipe = value_of(make_pipe());
    std::string text(1 << 20, 'y'), got;
    std::thread reader([&] { got = value_of(read_all(pipe[0].get(), 2 << 20, "the pipe")); });
    EXPECT_TRUE(write_all(pipe[1].get(), text));
    pipe[1].reset();
    reader.join();
    EXPECT_EQ(got, text);
}

TEST(FdTest, SentDescriptorIsTheSameFile) {
    auto pair = value_of(make_socketpair());
    auto pipe = value_of(make_pipe());
    ASSERT_TRUE(send_fd(pair[0].get(), pipe[1].get()));
    pipe[1].reset();
    {
        auto received = value_of(receive_fd(pair[1].get()));
        ASSERT_TRUE(write_all(received.get(), "through"));
    }
    EXPECT_EQ(read_all(pipe[0].get(), 100, "the pipe"), "through");
}

TEST(FdTest, NothingOrSomethingElseThanADescriptorIsAnError) {
    auto pair = value_of(make_socketpair());
    ASSERT_TRUE(write_all(pair[0].get(), "x"));
    EXPECT_EQ(receive_fd(pair[1].get()).error().text(), "the other side sent something else than one descriptor");
    pair[0].reset();
    EXPECT_EQ(receive_fd(pair[1].get()).error().text(), "the other side closed before it sent a descriptor");
}

TEST(FdTest, TooManyDescriptorsAreRefusedAndNotKept) {
    auto pair = value_of(make_socketpair());
    auto pipe = value_of(make_pipe());
    int fds[2] = {pipe[1].get(), pipe[1].get()};
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(header), fds, sizeof fds);
    ASSERT_EQ(::sendmsg(pair[0].get(), &message, 0), 1);
    EXPECT_FALSE(receive_fd(pair[1].get()));
    // Were one of them kept, the pipe would have a writer left and this would never end.
    pipe[1].reset();
    EXPECT_EQ(read_all(pipe[0].get(), 10, "the pipe"), "");
}

}  // namespace
TEST(ReadableTest, IsWhatHasBytesOrAnEnd) {
    auto ends = make_pipe();
    ASSERT_TRUE(ends);
    EXPECT_FALSE(is_readable((*ends)[0].get()));
    ASSERT_EQ(::write((*ends)[1].get(), "x", 1), 1);
    EXPECT_TRUE(is_readable((*ends)[0].get()));
    char byte = 0;
    ASSERT_EQ(::read((*ends)[0].get(), &byte, 1), 1);
    EXPECT_FALSE(is_readable((*ends)[0].get()));
    (*ends)[1].reset();
    EXPECT_TRUE(is_readable((*ends)[0].get()));
}

}  // namespace vmette
