#pragma once
/// A user's vmette of a test's own: folders, manifests and history that nothing else touches.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/layout.h"
#include "support/vmette_process.h"

namespace vmette::testing {

using Json = nlohmann::json;

/// Why no guest can be booted here; empty: one can. Guests need the build tree's kernel and initramfs.
std::string why_no_guest();
/// Why no guest can have a network here; empty: one can.
std::string why_no_nat();
/// VMETTE_BUILD_DIR, VMETTE_SOURCE_DIR: set by vmette_test() for CTest.
std::filesystem::path build_dir();
std::filesystem::path source_dir();
std::filesystem::path vmette_binary();
/// A root filesystem with busybox, made once per build tree.
std::filesystem::path busybox_image();

enum class Cache {
    shared,  ///< one for all tests of the build tree, with what is known of this host: a guest starts at once
    own,     ///< empty, in the home's folder, where a test can see every byte of it
};

/// Gone, with all it holds, when it is dropped.
class VmetteHome {
public:
    explicit VmetteHome(Cache cache = Cache::shared);

    const std::filesystem::path& folder() const { return folder_.path(); }
    const Layout& layout() const { return layout_; }
    /// The variables that make vmette use these folders, and one that marks every process of this home.
    std::vector<std::string> environment() const;
    /// "VMETTE_TEST_MARKER=…": in the environment of vmette and of what it starts.
    std::string marker() const;
    std::filesystem::path write(const std::string& name, std::string_view text) const;

    VmetteProcess start(std::vector<std::string> words, StartOptions options = {}) const;
    Finished vmette(std::vector<std::string> words, Duration limit = std::chrono::seconds(60),
                    StartOptions options = {}) const;
    /// `vmette up` of a small box (busybox, 128 MiB, no scratch disk, time limit 60 s), with what `toml` changes of it.
    std::vector<std::string> up(const std::string& toml, const std::vector<std::string>& command,
                                const std::vector<std::string>& flags = {}) const;
    /// The same command as a shell's line.
    std::vector<std::string> up_shell(const std::string& toml, const std::string& line,
                                      const std::vector<std::string>& flags = {}) const;

    /// Documents of this home's runs, newest first (those that were there from the start are left out).
    std::vector<Json> runs() const;
    /// The newest of them, in full.
    Json last_run() const;
    /// `vmette gc --dry-run`: what it would remove; empty when nothing is left over.
    std::string leftovers() const;

private:
    TempDir folder_;
    Layout layout_;
    std::string marker_;
    std::string born_;  ///< id of the newest run that the seed had; empty: none
};

}  // namespace vmette::testing

/// First in every test that boots a guest: says SKIPPED, and why, where none can be booted.
#define VMETTE_NEEDS_GUEST()                                                                 \
    do {                                                                                     \
        if (auto why = ::vmette::testing::why_no_guest(); !why.empty()) GTEST_SKIP() << why; \
    } while (false)
