#pragma once
/// The stream of artifacts, taken apart and held against what was asked for. Bytes go in, checked files come out.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "guest/artifacts.h"
#include "guest/glob.h"
#include "vm/artifacts.h"

namespace vmette::vm {

/// Move-only; one stream. Buffers one record's header and payload at most, data excepted, which passes through.
class ArtifactReader {
public:
    explicit ArtifactReader(const ArtifactRequest& request);

    /// Fails with `protocol` and one line that names the offence; nothing may be fed after that.
    Result<> feed(std::string_view bytes);
    /// The sink is not called again; what is fed from now on is dropped. May be called by the sink.
    void stop() { stopped_ = true; }
    /// Something is still to come.
    bool awaits_more() const { return !complete_ && !stopped_; }

private:
    struct Entry {
        wire::PathGlob glob;
        std::uint64_t room;
        std::uint64_t max;
    };
    Result<> take_header();
    void take_data(std::string_view bytes);
    Result<> take_payload();
    Result<> take_file();
    Result<> take_end();
    Result<> take_report();

    ArtifactSink& sink_;
    std::vector<Entry> entries_;
    std::string pending_;  ///< of a header, or behind it of a payload that is no data
    wire::ArtifactRecord record_{};
    std::size_t expected_ = 0;   ///< bytes of the payload that pending_ gathers
    std::size_t data_left_ = 0;  ///< of the data record that passes
    bool in_payload_ = false, file_open_ = false, complete_ = false, stopped_ = false;
    std::uint64_t file_left_ = 0;
    std::uint32_t files_ = 0;
    std::size_t names_ = 0;
};

}  // namespace vmette::vm
