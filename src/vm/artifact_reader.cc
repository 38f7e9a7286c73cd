#include "vm/artifact_reader.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/text.h"
#include "base/units.h"

namespace vmette::vm {
namespace {

using wire::ArtifactRecord;

template <class... Arguments>
Failure offence(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return fail(ErrorCode::protocol, "the guest sent {}", fmt::format(text, std::forward<Arguments>(arguments)...));
}

std::string_view name_of(ArtifactRecord record) {
    switch (record) {
        case ArtifactRecord::file:
            return "file";
        case ArtifactRecord::data:
            return "data";
        case ArtifactRecord::end:
            return "end";
        case ArtifactRecord::report:
            return "report";
    }
    return {};
}

/// Counts that nothing overflows on, and an example that can be shown.
ArtifactLoss harmless_loss(const wire::ArtifactLoss& loss) {
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return {std::min(loss.files, kMost), std::min(loss.bytes, kMost), harmless_line(loss.example, 200)};
}

}  // namespace

ArtifactReader::ArtifactReader(const ArtifactRequest& request) : sink_(*request.sink) {
    for (const auto& wish : request.wishes)
        entries_.push_back({wire::PathGlob(wish.glob), wish.max_bytes, wish.max_bytes});
}

Result<> ArtifactReader::feed(std::string_view bytes) {
    while (!bytes.empty() && !stopped_) {
        if (data_left_ > 0) {
            auto piece = bytes.substr(0, data_left_);
            bytes.remove_prefix(piece.size());
            take_data(piece);
            continue;
        }
        std::size_t wanted = in_payload_ ? expected_ : wire::kArtifactHeaderSize;
        auto piece = bytes.substr(0, wanted - pending_.size());
        pending_.append(piece);
        bytes.remove_prefix(piece.size());
        if (pending_.size() < wanted) break;
        VMETTE_CHECK_OK(in_payload_ ? take_payload() : take_header());
    }
    return {};
}

Result<> ArtifactReader::take_header() {
    wire::Reader reader(pending_);
    record_ = static_cast<ArtifactRecord>(reader.u8());
    std::uint32_t length = reader.u32();
    pending_.clear();
    auto name = name_of(record_);
    if (name.empty()) return offence("an artifact record of unknown type {}", static_cast<unsigned>(record_));
    if (complete_) return offence("an artifact '{}' after its report", name);
    if (length == 0 || length > wire::max_artifact_payload(record_))
        return offence("an artifact '{}' with {} bytes", name, length);
    bool of_a_file = record_ == ArtifactRecord::data || record_ == ArtifactRecord::end;
    if (of_a_file != file_open_)
        return offence("an artifact '{}' {}", name, file_open_ ? "inside a file" : "without a file");
    if (record_ == ArtifactRecord::data) {
        if (length > file_left_) return offence("more of an artifact than the {} bytes that were left", file_left_);
        data_left_ = length;
    } else {
        expected_ = length;
        in_payload_ = true;
    }
    return {};
}

void ArtifactReader::take_data(std::string_view bytes) {
    data_left_ -= bytes.size();
    file_left_ -= bytes.size();
    sink_.data(bytes);
}

Result<> ArtifactReader::take_payload() {
    in_payload_ = false;
    auto taken = record_ == ArtifactRecord::file  ? take_file()
                 : record_ == ArtifactRecord::end ? take_end()
                                                  : take_report();
    pending_.clear();
    return taken;
}

Result<> ArtifactReader::take_file() {
    wire::ArtifactFile file;
    if (!wire::decode(pending_, file)) return offence("a malformed artifact 'file'");
    auto problem = wire::artifact_path_problem(file.path);
    std::string shown = harmless_line(file.path, 200);
    if (!problem.empty()) return offence("an artifact whose path {}: {}", problem, shown);
    if (file.entry >= entries_.size() || !entries_[file.entry].glob.matches(file.path))
        return offence("an artifact that was not asked for: {}", shown);
    Entry& entry = entries_[file.entry];
    if (file.bytes > entry.room)
        return offence("artifacts of more than the {} that were asked for: {}", human_size(entry.max), shown);
    names_ += file.path.size();
    if (++files_ > wire::kMaxArtifactFiles || names_ > wire::kMaxArtifactNames)
        return offence("more artifacts than the {} that a run may have", wire::kMaxArtifactFiles);
    entry.room -= file.bytes;
    file_left_ = file.bytes;
    file_open_ = true;
    return sink_.begin(file.path, file.bytes);
}

Result<> ArtifactReader::take_end() {
    wire::ArtifactEnd end;
    if (!wire::decode(pending_, end)) return offence("a malformed artifact 'end'");
    if (end.problem.empty() && file_left_ > 0) return offence("an artifact that lacks {} of its bytes", file_left_);
    file_open_ = false;
    if (end.problem.empty())
        sink_.end();
    else
        sink_.abandon(harmless_line(end.problem, 200));
    return {};
}

Result<> ArtifactReader::take_report() {
    wire::ArtifactReport report;
    if (!wire::decode(pending_, report) || report.matched.size() != entries_.size() ||
        report.beyond.size() != entries_.size())
        return offence("a malformed artifact 'report'");
    ArtifactSummary summary;
    summary.matched = report.matched;
    for (const auto& loss : report.beyond) summary.beyond.push_back(harmless_loss(loss));
    summary.irregular = harmless_loss(report.irregular);
    summary.unnamable = harmless_loss(report.unnamable);
    summary.unreadable = harmless_loss(report.unreadable);
    summary.gave_up = report.gave_up;
    complete_ = true;
    sink_.report(summary);
    return {};
}

}  // namespace vmette::vm
