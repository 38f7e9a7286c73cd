#pragma once
/// Finds the artifacts of a run and writes them out as the stream of artifacts.h. Runs in a process of its own: a file
/// of a share whose server is gone hangs whoever reads it.

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "../artifacts.h"
#include "../glob.h"
#include "support.h"

namespace vmette::guest {

/// One search. Whatever lies in the tree: no symlink is followed, nothing but regular files is opened, and neither
/// /proc, /sys and /dev nor a filesystem of the kernel's own making is entered. Folders are read in order of their
/// names, so that the same tree gives the same files however little room there is.
class ArtifactWalk {
public:
    /// Writes to `out`, which may block.
    ArtifactWalk(const wire::Finish& wanted, int out);
    /// Searches below `top` and ends with the report. False when the reader is gone.
    bool run(Fd top);

private:
    /// For each pattern, how far the current folder has come.
    using Positions = std::vector<wire::PathGlob::Positions>;

    void search(Fd folder, dev_t device, const Positions& at);
    /// What in the folder can match: the names that the patterns spell out, or all that are there, sorted.
    std::vector<std::string> candidates(int folder, const Positions& at, bool& spelt);
    void visit(int folder, const std::string& name, dev_t device, const Positions& at, bool spelt);
    void descend(int folder, const std::string& name, dev_t device, const Positions& at);
    void take_file(int folder, const std::string& name, const struct stat& status, std::size_t entry);
    bool has_room(std::size_t entry, std::uint64_t bytes) const;
    void send_file(Fd file, std::size_t entry, std::uint64_t bytes);
    /// Counts what is at path_ as lost.
    void lose(wire::ArtifactLoss& loss, std::uint64_t bytes = 0);
    void put(wire::ArtifactRecord record, std::string_view payload);
    void flush();

    const int out_;
    std::vector<wire::PathGlob> globs_;
    std::vector<std::uint64_t> room_;  ///< bytes left for each pattern
    wire::ArtifactReport report_;
    std::string path_;  ///< of what is looked at, from the root
    std::string buffer_;
    std::uint64_t searched_ = 0;
    std::size_t files_ = 0, names_ = 0;
    bool stopped_ = false;  ///< the search has given up, or its reader has
    bool reader_gone_ = false;
};

}  // namespace vmette::guest
