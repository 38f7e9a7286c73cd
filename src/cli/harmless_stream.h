#pragma once
/// Bytes of a guest on their way to the user's terminal.

#include <string>
#include <string_view>

#include "cli/console.h"

namespace vmette::cli {

/// Control sequences become text. Pieces may be cut anywhere.
class HarmlessStream {
public:
    /// What can be shown now; a code point that is cut at the end waits for the rest.
    std::string next(std::string_view bytes);
    /// What still waits.
    std::string rest();

private:
    std::string held_;
};

/// What may hold bytes of a guest, in whole code points: as it is to a file or a pipe, harmless to a terminal.
Result<> write_foreign(Console& console, std::string_view text);

}  // namespace vmette::cli
