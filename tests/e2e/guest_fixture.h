#pragma once
/// What every test that boots a guest starts from.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "support/vmette_home.h"

namespace vmette::testing {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

/// Skips, with the reason, where no guest can be booted.
class GuestTest : public ::testing::Test {
protected:
    void SetUp() override {
        VMETTE_NEEDS_GUEST();
        home_.emplace();
    }
    VmetteHome& home() { return *home_; }
    /// Runs a line of shell in a small box to its end.
    Finished shell(const std::string& line, const std::string& toml = "", const std::vector<std::string>& flags = {}) {
        return home().vmette(home().up_shell(toml, line, flags));
    }

    std::optional<VmetteHome> home_;
};

/// Runs that need everything a run may need on the host: a share that is written, a network, a scratch disk.
class HelpersTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped()) return;
        shared_ = home().folder() / "shared";
        ASSERT_TRUE(make_private_dir(shared_));
        if (!has_nat_) std::cout << "without a network: " << why_no_nat() << "\n";
    }
    std::string all_helpers() const {
        return fmt::format("scratch = \"256M\"\nshares = [\"{}:/shared:rw\"]\n", shared_.string()) +
               (has_nat_ ? "[net]\nmode = \"nat\"\n" : "");
    }
    bool has_nat() const { return has_nat_; }

private:
    std::filesystem::path shared_;
    bool has_nat_ = why_no_nat().empty();
};

}  // namespace vmette::testing
