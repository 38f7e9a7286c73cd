#pragma once
/// A text told by what it shares with another: the manifests of a batch's jobs differ in a few lines.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vmette::store {

/// The first `head` bytes of a base, `middle`, the base's last `tail` bytes.
struct SharedText {
    std::size_t head = 0, tail = 0;
    std::string_view middle;  ///< of the text that was compared
};

/// Whole lines only, so that `middle` stays legible and valid UTF-8.
SharedText compare_texts(std::string_view base, std::string_view text);

/// The text again; nothing when the numbers do not fit the base.
std::optional<std::string> restore_text(std::string_view base, const SharedText& shared);

}  // namespace vmette::store
