#include "store/shared_text.h"

#include <algorithm>

namespace vmette::store {

SharedText compare_texts(std::string_view base, std::string_view text) {
    auto differ = std::ranges::mismatch(base, text).in1;
    auto head = static_cast<std::size_t>(differ - base.begin());
    if (head < text.size() || head < base.size()) head = base.substr(0, head).rfind('\n') + 1;
    // Of what the head has left, so that nothing is counted twice.
    std::string_view base_rest = base.substr(head), text_rest = text.substr(head);
    auto back = std::mismatch(base_rest.rbegin(), base_rest.rend(), text_rest.rbegin(), text_rest.rend()).first;
    auto tail = static_cast<std::size_t>(back - base_rest.rbegin());
    if (tail < base_rest.size() || tail < text_rest.size()) {
        auto newline = base_rest.find('\n', base_rest.size() - tail);
        tail = newline == base_rest.npos ? 0 : base_rest.size() - newline - 1;
    }
    return {head, tail, text_rest.substr(0, text_rest.size() - tail)};
}

std::optional<std::string> restore_text(std::string_view base, const SharedText& shared) {
    if (shared.head > base.size() || shared.tail > base.size() - shared.head) return std::nullopt;
    std::string text(base.substr(0, shared.head));
    text += shared.middle;
    text += base.substr(base.size() - shared.tail);
    return text;
}

}  // namespace vmette::store
