/// From the kernel's start to the end of the set-up, and the protocol's rules on the way.

#include "guest/fixture.h"

namespace vmette::guest_test {
namespace {

class BootTest : public GuestTest {};

TEST_F(BootTest, GreetsWithWhatItIs) {
    options_.vcpus = 2;
    ASSERT_NO_FATAL_FAILURE(start_and_greet());
    EXPECT_EQ(hello_.magic, wire::kMagic);
    EXPECT_EQ(hello_.version, wire::kVersion);
    EXPECT_EQ(hello_.cpus, 2U);
    EXPECT_GT(hello_.memory_bytes, 200ULL << 20);
    EXPECT_LE(hello_.memory_bytes, 256ULL << 20);
    EXPECT_THAT(hello_.kernel, ::testing::StartsWith("6."));
    EXPECT_GT(hello_.uptime_us, 0U);
}

TEST_F(BootTest, BeatsFourTimesASecond) {
    ASSERT_NO_FATAL_FAILURE(start_and_greet());
    EXPECT_FALSE(machine_->next(Milliseconds(2600)).has_value());
    EXPECT_GE(machine_->beats(), 5);
    EXPECT_LE(machine_->beats(), 12);
}

TEST_F(BootTest, BareMachineStopsAtOnce) {
    options_.bare = true;
    ASSERT_NO_FATAL_FAILURE(start());
    auto status = machine_->qemu().wait_for(std::chrono::seconds(20));
    ASSERT_TRUE(status.has_value()) << machine_->console();
    EXPECT_EQ(*status, 0);
}

TEST_F(BootTest, RootIsEnteredWithAllThatALinuxProgramExpects) {
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_THAT(ready_.warnings, ::testing::IsEmpty());
    EXPECT_EQ(output_of("hostname; cat /etc/hostname; date -u +%Y"), "box\nbox\n2030\n");
    EXPECT_EQ(output_of("for f in / /proc /sys /sys/fs/cgroup /dev /dev/pts /dev/shm /dev/mqueue /run; do"
                        " awk -v p=$f '$2 == p { print $2, $3 }' /proc/mounts; done"),
              "/ overlay\n/proc proc\n/sys sysfs\n/sys/fs/cgroup cgroup2\n/dev devtmpfs\n/dev/pts devpts\n"
              "/dev/shm tmpfs\n/dev/mqueue mqueue\n/run tmpfs\n");
    EXPECT_EQ(output_of("stat -c %a /tmp /dev/shm; ls -l /dev/fd /dev/stdin | grep -c proc/self"), "1777\n1777\n2\n");
    EXPECT_EQ(output_of("echo x > /dev/stderr; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn; umask"),
              "0\n65536\n1048576\n0022\n");
    EXPECT_EQ(output_of("ip -o addr show lo | grep -o 127.0.0.1/8"), "127.0.0.1/8\n");
    EXPECT_EQ(output_of("echo hello > /file; cat /file"), "hello\n");
}

TEST_F(BootTest, OtherVersionIsRefusedOnBothSides) {
    ASSERT_NO_FATAL_FAILURE(start_and_greet());
    setup_.version = wire::kVersion + 1;
    machine_->send(Type::setup, 0, wire::encode(setup_));
    auto frame = machine_->next();
    ASSERT_TRUE(frame);
    wire::Failure failure = failure_of(*frame);
    EXPECT_EQ(failure.kind, static_cast<std::uint8_t>(FailureKind::protocol));
    auto theirs = fmt::format("protocol version {}", setup_.version);
    EXPECT_EQ(failure.message,
              fmt::format("the host sent what this guest does not understand: {}; this guest speaks {}", theirs,
                          wire::kVersion));
    machine_->next(Milliseconds(500));
    EXPECT_THAT(machine_->console(), ::testing::HasSubstr(theirs));
}

TEST_F(BootTest, BytesThatAreNoFrameEndTheConversationButNotTheBeats) {
    ASSERT_NO_FATAL_FAILURE(start_and_greet());
    machine_->send_raw(std::string(64, '\xff'));
    auto frame = machine_->next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(failure_of(*frame).kind, static_cast<std::uint8_t>(FailureKind::protocol));
    machine_->send(Type::setup, 0, wire::encode(setup_));
    EXPECT_FALSE(machine_->next(Milliseconds(1500)).has_value());
    EXPECT_GE(machine_->beats(), 2);
}

TEST_F(BootTest, CommandBeforeTheSetUpIsAProtocolError) {
    ASSERT_NO_FATAL_FAILURE(start_and_greet());
    machine_->send(Type::exec, 1, wire::encode(shell("true")));
    auto frame = machine_->next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(failure_of(*frame).message, "the host sent what this guest does not understand: exec on stream 1");
}

TEST_F(BootTest, RootThatIsNotThereFailsTheSetUp) {
    setup_.root_serial = "other";
    auto failure = boot_to_failure();
    EXPECT_EQ(failure.kind, static_cast<std::uint8_t>(FailureKind::setup));
    EXPECT_EQ(failure.message, "no disk with serial \"other\"");
}

TEST_F(BootTest, RootWithoutAFilesystemFailsTheSetUp) {
    write_file(folder_.path() / "zeros", std::string(1 << 20, '\0'));
    options_.disks.push_back(TestDisk{"zeros", folder_.path() / "zeros", true});
    setup_.root_serial = "zeros";
    EXPECT_EQ(boot_to_failure().message, "the root image holds no filesystem that is known");
}

TEST_F(BootTest, GuestStopsWhenTheHostIsGone) {
    ASSERT_NO_FATAL_FAILURE(boot());
    machine_->close_channel();
    EXPECT_TRUE(machine_->qemu().wait_for(std::chrono::seconds(20)).has_value());
}

}  // namespace
}  // namespace vmette::guest_test
