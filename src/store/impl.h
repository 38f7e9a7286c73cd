#pragma once
/// What a Store is made of; shared by the .cc files that implement it.

#include <memory>

#include "store/database.h"
#include "store/store.h"

namespace vmette::store {

struct Store::Impl {
    std::unique_ptr<Database> database;
    const Clock& clock;
    int schema_version = 0;
};

/// What a transaction gave, or the error that it gave instead.
template <typename T>
Result<T> flat(Result<Result<T>> result) {
    if (!result) return Failure(std::move(result).error());
    return *std::move(result);
}

/// The least text that is greater than every text with this prefix; empty: there is none.
std::string prefix_end(std::string_view prefix);

}  // namespace vmette::store
