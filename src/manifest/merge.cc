#include "manifest/merge.h"

#include <unordered_map>
#include <utility>

namespace vmette::manifest {

void widen_short_forms(Value& root, const Key& key) {
    for (Entry& entry : root.entries) {
        const Key* known = find_key(key, entry.key);
        if (known == nullptr || known->kind != Kind::table || known->short_form.empty()) continue;
        if (entry.value.is(Value::Kind::table)) continue;
        Value table;
        table.place = entry.value.place;
        table.entries.push_back({std::string(known->short_form), entry.value.place, std::move(entry.value)});
        entry.value = std::move(table);
    }
}

void merge(Value& base, Value over) {
    if (!base.is(Value::Kind::table) || !over.is(Value::Kind::table)) {
        base = std::move(over);
        return;
    }
    std::unordered_map<std::string, std::size_t> known;
    for (std::size_t i = 0; i < base.entries.size(); ++i) known.emplace(base.entries[i].key, i);
    for (Entry& entry : over.entries) {
        auto found = known.find(entry.key);
        if (found == known.end()) {
            base.entries.push_back(std::move(entry));
            continue;
        }
        Entry& old = base.entries[found->second];
        old.key_place = entry.key_place;
        merge(old.value, std::move(entry.value));
    }
}

}  // namespace vmette::manifest
