#include "vm/disks.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/layout.h"
#include "base/process.h"
#include "base/units.h"

namespace vmette::vm {
namespace {

namespace fs = std::filesystem;

/// A qcow2 header field by field, so that each test can spoil one.
struct Qcow2 {
    std::string bytes = std::string(65536, '\0');
    Qcow2() {
        bytes.replace(0, 4, "QFI\xfb");
        put32(4, 3);
        put32(20, 16);
        put64(24, 1 * kGiB);
        put32(96, 4);
        put32(100, 104);
    }
    void put32(std::size_t at, std::uint32_t value) {
        for (int i = 0; i < 4; ++i) bytes[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (24 - 8 * i));
    }
    void put64(std::size_t at, std::uint64_t value) {
        put32(at, static_cast<std::uint32_t>(value >> 32));
        put32(at + 4, static_cast<std::uint32_t>(value));
    }
};

struct DisksTest : testing::Test {
    TempDir folder = *TempDir::make();
    fs::path path = folder.path() / "d.img";

    void write(std::string_view bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
    std::string error(bool read_only = true) const {
        auto disk = open_disk(path, read_only);
        return disk ? "no error" : disk.error().text();
    }
    std::string named(std::string_view rest) const { return fmt::format("the disk {} {}", path.string(), rest); }
};

/// The name says what it is.
struct Qcow2Test : DisksTest {
    Qcow2Test() { path = folder.path() / "d.qcow2"; }
    std::string qcow2_error(const Qcow2& image) const {
        write(image.bytes);
        return error();
    }
};

TEST_F(DisksTest, RawImageIsTakenWithItsSize) {
    write(std::string(4096, 'x'));
    auto disk = open_disk(path, false);
    ASSERT_TRUE(disk) << disk.error().text();
    EXPECT_EQ(disk->format, DiskFormat::raw);
    EXPECT_EQ(disk->bytes, 4096U);
    EXPECT_EQ(::pwrite(disk->fd.get(), "y", 1, 0), 1);
}

TEST_F(DisksTest, ReadOnlyDiskCannotBeWritten) {
    write(std::string(4096, 'x'));
    auto disk = open_disk(path, true);
    ASSERT_TRUE(disk);
    EXPECT_EQ(::pwrite(disk->fd.get(), "y", 1, 0), -1);
}

/// A guest writes what it likes to the start of its raw disk, also a header that chooses another size or file.
TEST_F(DisksTest, RawDiskStaysRawWhateverIsWrittenToItsStart) {
    write(Qcow2().bytes);
    EXPECT_EQ(error(), named("begins like a qcow2 image, which a guest may have written there; if it is one, name it "
                             "*.qcow2"));
    path = folder.path() / "d.qcow2";
    write(std::string(4096, 'x'));
    EXPECT_EQ(error(), named("is no qcow2 image"));
}

TEST_F(Qcow2Test, IsKnownByItsNameAndMagicAndShowsItsVirtualSize) {
    write(Qcow2().bytes);
    auto disk = open_disk(path, true);
    ASSERT_TRUE(disk) << disk.error().text();
    EXPECT_EQ(disk->format, DiskFormat::qcow2);
    EXPECT_EQ(disk->bytes, kGiB);
}

TEST_F(Qcow2Test, WhatQemuImgMakesIsTaken) {
    ProcessSpec spec;
    spec.argv = {"qemu-img", "create", "-q", "-f", "qcow2", path.string(), "10M"};
    auto made = run_captured(spec, std::chrono::seconds(20));
    if (!made || !made->ok()) GTEST_SKIP() << "qemu-img is not installed";
    auto disk = open_disk(path, false);
    ASSERT_TRUE(disk) << disk.error().text();
    EXPECT_EQ(disk->bytes, 10 * kMiB);
}

TEST_F(Qcow2Test, ThatNamesAnotherFileIsRefused) {
    const std::string only = ": only images that stand alone are taken (qemu-img convert -O qcow2 makes one)";
    Qcow2 backed;
    backed.put64(8, 512);
    backed.put32(16, 11);
    backed.bytes.replace(512, 11, "/etc/shadow");
    EXPECT_EQ(qcow2_error(backed), named("is a qcow2 image with a backing file" + only));
    Qcow2 format_only;
    format_only.put32(104, 0xe2792aca);
    format_only.put32(108, 3);
    EXPECT_EQ(qcow2_error(format_only), named("is a qcow2 image with a backing file" + only));
    Qcow2 external;
    external.put64(72, 4);
    EXPECT_EQ(qcow2_error(external), named("is a qcow2 image with an external data file" + only));
    Qcow2 hidden;  // behind a harmless extension of odd length
    hidden.put32(104, 0x6803f857);
    hidden.put32(108, 5);
    hidden.put32(120, 0x44415441);
    hidden.put32(124, 11);
    EXPECT_EQ(qcow2_error(hidden), named("is a qcow2 image with an external data file" + only));
}

TEST_F(Qcow2Test, BrokenHeadersAreRefused) {
    write(std::string("QFI\xfb") + std::string(60, '\0'));
    EXPECT_EQ(error(), named("is a broken qcow2 image: its header is cut short"));
    Qcow2 short_v3;
    short_v3.bytes.resize(80);
    EXPECT_EQ(qcow2_error(short_v3), named("is a broken qcow2 image: its header is cut short"));
    Qcow2 version;
    version.put32(4, 9);
    EXPECT_EQ(qcow2_error(version), named("is a broken qcow2 image: version 9 is not known"));
    Qcow2 clusters;
    clusters.put32(20, 63);
    EXPECT_EQ(qcow2_error(clusters), named("is a broken qcow2 image: clusters of 2^63 bytes"));
    Qcow2 header;
    header.put32(100, 0xfffffff8);
    EXPECT_EQ(qcow2_error(header), named("is a broken qcow2 image: a header of 4294967288 bytes"));
    Qcow2 extension;
    extension.put32(104, 0x6803f857);
    extension.put32(108, 0xffffffff);
    EXPECT_EQ(qcow2_error(extension),
              named("is a broken qcow2 image: a header extension reaches beyond the first cluster"));
    Qcow2 feature;
    feature.put64(72, std::uint64_t{1} << 40);
    EXPECT_EQ(qcow2_error(feature),
              named("is a broken qcow2 image: it needs features that are not known (0x10000000000)"));
    Qcow2 encrypted;
    encrypted.put32(32, 2);
    EXPECT_EQ(qcow2_error(encrypted), named("is an encrypted qcow2 image, which needs a key: not supported"));
    Qcow2 empty;
    empty.put64(24, 0);
    EXPECT_EQ(qcow2_error(empty), named("is empty (0 bytes)"));
}

TEST_F(DisksTest, WhatIsNoDiskIsRefused) {
    EXPECT_EQ(error(), named("does not exist"));
    write("");
    EXPECT_EQ(error(), named("is empty (0 bytes)"));
    write("hello");
    EXPECT_EQ(error(), named("is 5 bytes long, which is no multiple of 512: is it a disk image? "
                             "(truncate -s %512 pads it)"));
    const std::string no_disk = " cannot be a disk: it is neither a regular file nor a block device";
    path = folder.path();
    EXPECT_EQ(error(), path.string() + no_disk);
    path = "/dev/zero";
    EXPECT_EQ(error(), path.string() + no_disk);
    path = folder.path() / "fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(error(), path.string() + no_disk);  // and it did not wait for a writer
}

TEST_F(DisksTest, WriterExcludesOthersAndReadersDoNot) {
    write(std::string(4096, 'x'));
    const std::string busy = named("is in use by another vmette run");
    {
        auto writer = open_disk(path, false);
        ASSERT_TRUE(writer);
        EXPECT_EQ(error(true), busy);
        EXPECT_EQ(error(false), busy);
    }
    auto reader = open_disk(path, true);
    ASSERT_TRUE(reader);
    EXPECT_EQ(error(true), "no error");
    EXPECT_EQ(error(false), busy);
}

TEST_F(DisksTest, UnwritableDiskSaysWhatToDo) {
    if (::geteuid() == 0) GTEST_SKIP() << "root may write everything";
    write(std::string(4096, 'x'));
    ASSERT_EQ(::chmod(path.c_str(), 0400), 0);
    EXPECT_EQ(error(false), named("cannot be written by this user; say read_only = true to only read it"));
}

}  // namespace
}  // namespace vmette::vm
