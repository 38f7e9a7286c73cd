#pragma once
/// Artifacts of a run on their way to the host's disk: vm's checked stream in, files and their records out.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "manifest/sandbox.h"
#include "store/store.h"
#include "vm/artifacts.h"

namespace vmette::scheduler {

/// Folders of one run's artifacts. Files and the bytes of all names are bounded by the stream; depth times files is
/// not.
constexpr std::uint32_t kMaxArtifactFolders = 20'000;

/// Writes below one folder, which is made with the first file (0700; files 0600: no mode, owner or time of the guest
/// arrives). Nothing existing is opened. A file is recorded once it is whole; an unfinished one is removed.
class ArtifactFiles final : public vm::ArtifactSink {
public:
    /// `on_over` is called once nothing more can come or is wanted: by the guest's report, or a failure of the host's.
    ArtifactFiles(std::filesystem::path folder, const std::vector<manifest::Artifact>& wanted,
                  std::function<void()> on_over);

    /// What the guest is asked for. Refers to this object.
    vm::ArtifactRequest request();
    /// Ends it, for a reason that is kept as its problem.
    void give_up(std::string problem);
    /// Nothing more can come or is wanted.
    bool over() const { return over_; }
    /// Bytes that came.
    std::uint64_t received() const { return received_; }

    /// After the machine is gone: removes what is not whole.
    void close();
    std::vector<store::ArtifactRecord> take_records() { return std::move(records_); }
    /// What is missing, and why, a line each.
    const std::vector<std::string>& problems() const { return problems_; }

private:
    Result<> begin(std::string_view path, std::uint64_t bytes) override;
    void data(std::string_view bytes) override;
    void end() override;
    void abandon(std::string_view problem) override;
    void report(const vm::ArtifactSummary& summary) override;
    void cut() override;

    /// A failure of the host's: no more is taken.
    void fail_here(const Error& error);
    /// The folder of a file, made when it is missing. Errors: protocol (a file stands in its place), io, no_space.
    Result<> enter(const std::string& folder);
    void lost(std::string_view why, const vm::ArtifactLoss& loss);

    struct Open {
        std::string path;
        Fd file;
        Sha256 digest;
        std::uint64_t bytes = 0;
    };

    const std::filesystem::path folder_;
    const std::vector<manifest::Artifact>& wanted_;
    std::function<void()> on_over_;
    Fd top_, parent_;
    std::string parent_path_;  ///< of parent_, from the top; empty: the top itself
    std::uint32_t folders_made_ = 0;
    std::optional<Open> open_;
    std::uint64_t received_ = 0;
    std::vector<store::ArtifactRecord> records_;
    std::vector<std::string> problems_;
    bool over_ = false;
};

}  // namespace vmette::scheduler
