#pragma once
/// A store in a folder of its own, and records to put into it.

#include <gtest/gtest.h>

#include <string>

#include "base/layout.h"
#include "store/store.h"
#include "support/manual_clock.h"

namespace vmette::store {

/// 2023-11-14T22:13:20Z and so many milliseconds.
inline WallTime instant(std::int64_t ms) { return WallTime(std::chrono::milliseconds(1'700'000'000'000 + ms)); }

/// A run that just began, with no more than a run that just began has.
inline RunRecord new_run(const std::string& id, const std::string& name = "hello", std::int64_t created_ms = 0) {
    RunRecord run;
    run.id = id;
    run.name = name;
    run.created_at = instant(created_ms);
    return run;
}

/// Every field set, to a value of its own.
RunRecord full_run(const std::string& id);

class StoreTest : public ::testing::Test {
protected:
    Result<Store> open() { return Store::open(path(), clock_); }
    std::filesystem::path path() const { return folder_->path() / "state" / "vmette.db"; }

    Result<TempDir> folder_ = TempDir::make();
    testing::ManualClock clock_;
};

/// The same with an open store.
class OpenStoreTest : public StoreTest {
protected:
    void SetUp() override {
        auto opened = open();
        ASSERT_TRUE(opened) << opened.error().text();
        store_.emplace(*std::move(opened));
    }
    Store& store() { return *store_; }

private:
    std::optional<Store> store_;
};

/// The value by itself; without one the test program ends.
template <typename T>
T value_of(Result<T> result) {
    return std::move(result).value();
}

}  // namespace vmette::store

/// Ends the test with the error's text unless the Result has a value.
#define ASSERT_OK(...)                                              \
    do {                                                            \
        const auto& checked = (__VA_ARGS__);                        \
        ASSERT_TRUE(checked.has_value()) << checked.error().text(); \
    } while (false)
