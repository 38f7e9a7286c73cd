#include "store/lookup.h"

#include "base/text.h"
#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// How many ids an ambiguous prefix is answered with.
constexpr std::size_t kNamedCandidates = 5;

}  // namespace

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::vector<std::string> ids_with_prefix(Database& database, std::string_view table, const std::string& prefix) {
    Query query(database.prepared(
        fmt::format("SELECT id FROM {} WHERE id >= ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3", table)));
    bind_text(*query, 1, prefix);
    bind_value(*query, 2, prefix_end(prefix));
    bind_value(*query, 3, std::int64_t{kNamedCandidates + 1});
    std::vector<std::string> ids;
    while (query->executeStep()) ids.push_back(query->getColumn(0).getString());
    return ids;
}

Failure not_one(std::string_view kind, std::string_view asked, std::vector<std::string> ids) {
    std::string shown = harmless_line(asked, 80);
    if (ids.empty()) return fail(ErrorCode::not_found, "no {} has the id or the name \"{}\"", kind, shown);
    bool more = ids.size() > kNamedCandidates;
    if (more) ids.pop_back();
    return fail(ErrorCode::bad_input, "\"{}\" is the beginning of several ids: {}{}", shown, fmt::join(ids, ", "),
                more ? ", …" : "");
}

}  // namespace vmette::store
