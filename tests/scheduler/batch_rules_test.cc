#include "scheduler/batch_rules.h"

#include <gmock/gmock.h>

namespace vmette::scheduler {
namespace {

using ::testing::StartsWith;

manifest::BatchRules full_rules() {
    manifest::BatchRules rules;
    rules.name = "nightly \"größe\"";
    rules.pool = {12, 3 * kGiB, 40, 6, true};
    rules.fail_fast = true;
    rules.max_failures = 9;
    rules.deadline = std::chrono::hours(30 * 24);
    rules.results = "/srv/results";
    return rules;
}

TEST(BatchRulesTest, ComeBackFromTheQueueAsTheyWent) {
    for (const auto& rules : {full_rules(), manifest::BatchRules{}}) {
        auto text = to_json(rules);
        EXPECT_EQ(text.find('\n'), text.npos);
        auto again = rules_from_json(text);
        ASSERT_TRUE(again) << again.error().text();
        EXPECT_EQ(*again, rules);
    }
}

TEST(BatchRulesTest, PathThatIsNoUtf8DoesNotEndTheProcess) {
    auto rules = full_rules();
    rules.results = "/srv/\xff";
    ASSERT_TRUE(rules_from_json(to_json(rules)));
}

TEST(BatchRulesTest, DamagedRulesAreErrors) {
    std::string whole = to_json(full_rules());
    for (std::string text : {std::string(), std::string("{}"), std::string("[]"), std::string("null"),
                             whole.substr(0, whole.size() / 2), std::string(100'000, '[')}) {
        auto rules = rules_from_json(text);
        ASSERT_FALSE(rules) << text.substr(0, 80);
        EXPECT_EQ(rules.error().code, ErrorCode::bad_input);
        EXPECT_THAT(rules.error().message, StartsWith("the stored rules of the batch are damaged: "));
    }
    auto swapped = whole;
    swapped.replace(swapped.find("true"), 4, "\"no\"");
    EXPECT_FALSE(rules_from_json(swapped));
}

TEST(BatchRulesTest, NumbersThatMakeNoSenseAreErrors) {
    for (const char* change : {R"("vms":0)", R"("vms":-1)", R"("vms":4294967296)", R"("vms":1.5)", R"("vms":"12")"}) {
        auto text = to_json(full_rules());
        text.replace(text.find(R"("vms":12)"), 8, change);
        EXPECT_FALSE(rules_from_json(text)) << change;
    }
    auto text = to_json(full_rules());
    text.replace(text.find(R"("memory_percent":40)"), 19, R"("memory_percent":101)");
    EXPECT_FALSE(rules_from_json(text));
    text = to_json(full_rules());
    text.replace(text.find(R"("deadline_ms":)"), 14, R"("deadline_ms":-)");
    EXPECT_FALSE(rules_from_json(text));
}

TEST(BatchRulesTest, PoolIsAShareOfTheHostOrASize) {
    HostSize host{10'000, 4};
    manifest::Pool pool;
    pool.vms = 3;
    EXPECT_EQ(pool_room(pool, host), (Room{3, UINT32_MAX, 7500, UINT64_MAX}));
    pool.memory_bytes = 2 * kGiB;
    pool.vcpus = 5;
    EXPECT_EQ(pool_room(pool, host), (Room{3, 5, 2048, UINT64_MAX}));
    host.descriptors = 24 + 2 * 48;
    EXPECT_EQ(pool_room(pool, host), (Room{2, 5, 2048, UINT64_MAX}));
    host.descriptors = 0;
    EXPECT_EQ(pool_room(pool, host).vms, 1U);
}

TEST(BatchRulesTest, MachineTakesItsMemoryAndWhatQemuNeedsAndAScratchDiskItWrites) {
    manifest::Sandbox sandbox;
    sandbox.limits.memory = 512 * kMiB;
    sandbox.limits.vcpus = 2;
    sandbox.scratch = 8 * kGiB;
    EXPECT_EQ(job_room(sandbox), (Room{1, 2, 512 + kMachineOverheadMib, 8192}));
    sandbox.rootfs.read_only = true;
    EXPECT_EQ(job_room(sandbox).scratch_mib, 0U);
}

TEST(BatchRulesTest, ThisHostHasMemoryAndProcessors) {
    auto host = host_size();
    EXPECT_GT(host.memory_mib, 0U);
    EXPECT_GE(host.processors, 1U);
    EXPECT_GE(host.descriptors, 64U);
}

}  // namespace
}  // namespace vmette::scheduler
