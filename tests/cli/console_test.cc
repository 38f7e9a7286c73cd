#include "cli/console.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

#include "base/fd.h"

namespace vmette::cli {
namespace {

std::string drain(int fd) {
    std::array<char, 4096> buffer;
    ssize_t count = ::read(fd, buffer.data(), buffer.size());
    return count > 0 ? std::string(buffer.data(), static_cast<std::size_t>(count)) : "";
}

TEST(ConsoleTest, ErrorIsOneHarmlessLine) {
    auto out = make_pipe().value();
    auto err = make_pipe().value();
    Console console(out[1].get(), err[1].get());
    console.error("the guest said: \x1b]0;title\x07\nvmette: success");
    EXPECT_EQ(drain(err[0].get()), "vmette: error: the guest said: \\x1b]0;title\\x07\\x0avmette: success\n");
}

TEST(ConsoleTest, ReaderThatHasGoneIsNoError) {
    auto old = ::signal(SIGPIPE, SIG_IGN);
    auto out = make_pipe().value();
    auto err = make_pipe().value();
    Console console(out[1].get(), err[1].get());
    out[0].reset();
    EXPECT_FALSE(console.reader_gone());
    EXPECT_TRUE(console.write("data"));
    EXPECT_TRUE(console.reader_gone());
    ::signal(SIGPIPE, old);
}

TEST(ConsoleTest, FullDiskIsAnError) {
    auto full = open_file("/dev/full", O_WRONLY).value();
    Console console(full.get(), full.get());
    auto written = console.write("data");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::no_space);
}

TEST(ConsoleTest, ColoursOnlyWhenAskedOnAPipe) {
    auto out = make_pipe().value();
    Console console(out[1].get(), out[1].get());
    EXPECT_EQ(console.paint(Style::red, "x"), "x");
    console.set_color(ColorMode::always);
    EXPECT_EQ(console.paint(Style::red, "x"), "\x1b[31mx\x1b[0m");
    console.set_color(ColorMode::never);
    EXPECT_EQ(console.paint(Style::red, "x"), "x");
}

TEST(ConsoleTest, NewLinesReturnWhileTheTerminalIsRaw) {
    auto err = make_pipe().value();
    Console console(err[1].get(), err[1].get());
    console.set_raw(true);
    console.note("x");
    EXPECT_EQ(drain(err[0].get()), "vmette: x\r\n");
}

}  // namespace
}  // namespace vmette::cli
