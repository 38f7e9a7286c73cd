#pragma once
/// Batches to put into a store.

#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "base/process.h"
#include "store/batches.h"
#include "store/store_fixture.h"

namespace vmette::store {

/// A process that is not ours.
inline ProcessIdentity process(std::int64_t pid) { return {pid, 1000 + static_cast<std::uint64_t>(pid), "boot"}; }
inline bool nobody_lives(const ProcessIdentity&) { return false; }
inline bool all_live(const ProcessIdentity&) { return true; }

/// A batch of so many jobs that this process drives.
inline BatchRecord new_batch(const std::string& id, std::uint32_t jobs, const std::string& name = "demo") {
    BatchRecord batch;
    batch.id = id;
    batch.name = name;
    batch.created_at = instant(0);
    batch.rules = "{}";
    batch.groups = {"job-{n}"};
    batch.jobs = jobs;
    batch.owner = own_identity();
    return batch;
}

inline JobRecord new_job(std::uint32_t index) {
    JobRecord job;
    job.index = index;
    job.name = "job-" + std::to_string(index);
    job.memory_mib = 128;
    job.vcpus = 1;
    return job;
}

/// What a job of a real batch has: most lines are those of the others.
inline std::string job_text(std::uint32_t index) {
    return fmt::format("schema = 1\nname = \"job-{0}\"\nexec = [\"run\", \"{0}\"]\n{1}", index,
                       "user = \"root\"\n\n[limits]\nmemory = \"512MiB\"\n");
}

inline Result<> write_batch(Batches& batches, const BatchRecord& batch) {
    VMETTE_TRY(auto writer, batches.create(batch.id));
    for (std::uint32_t i = 0; i < batch.jobs; ++i) VMETTE_CHECK_OK(writer.add(new_job(i), job_text(i)));
    return writer.commit(batch);
}

class BatchesTest : public OpenStoreTest {
protected:
    void SetUp() override {
        OpenStoreTest::SetUp();
        batches_.emplace(store());
    }
    Batches& batches() { return *batches_; }
    /// Runs SQL as somebody who is not bound by our checks.
    void run_sql(const std::string& sql) {
        SQLite::Database database(path().string(), SQLite::OPEN_READWRITE);
        database.exec("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; " + sql);
    }
    JobRecord job(const std::string& batch_id, std::uint32_t index) {
        return value_of(batches().jobs(batch_id)).at(index);
    }

private:
    std::optional<Batches> batches_;
};

}  // namespace vmette::store
