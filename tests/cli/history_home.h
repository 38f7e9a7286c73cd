#pragma once
/// A history for the program to look at.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "cli/vmette_process.h"
#include "store/store.h"

namespace vmette::cli {

/// A home whose history was written through the store.
class HistoryTest : public ::testing::Test {
protected:
    store::RunRecord finished(const std::string& name, int exit_code) {
        store::RunRecord run;
        run.created_at = clock_.now() - std::chrono::hours(1) + std::chrono::seconds(made_++);
        run.id = make_ulid(run.created_at.time_since_epoch().count());
        run.name = name;
        run.status = exit_code == 0 ? store::RunStatus::succeeded : store::RunStatus::failed;
        run.reason = "exited";
        run.exit_code = exit_code;
        run.started_at = run.created_at + std::chrono::seconds(1);
        run.finished_at = run.created_at + std::chrono::seconds(3);
        run.image_source = "tar+file:///images/" + name + ".tar";
        run.accel = "tcg";
        run.vcpus = 1;
        run.memory_mib = 512;
        run.manifest = "schema = 1\n";
        run.owner = own_identity();
        return run;
    }
    void insert(const store::RunRecord& run) {
        ASSERT_TRUE(make_private_dir(home_.layout().state));
        auto store = store::Store::open(home_.layout().database(), clock_);
        ASSERT_TRUE(store) << store.error().text();
        ASSERT_TRUE(store->insert_run(run));
    }
    std::vector<std::string> names(const std::vector<std::string>& filter) {
        std::vector<std::string> words{"history", "--json"};
        words.insert(words.end(), filter.begin(), filter.end());
        auto result = home_.run(words);
        EXPECT_EQ(result.code, 0) << result.err;
        std::vector<std::string> found;
        for (const auto& run : nlohmann::json::parse(result.out)) found.push_back(run["name"]);
        return found;
    }

    SystemClock clock_;
    VmetteHome home_;
    int made_ = 0;
};

}  // namespace vmette::cli
