/// How a batch comes into the queue.

#include <sqlite3.h>

#include "store/batch_row.h"
#include "store/batches.h"
#include "store/impl.h"
#include "store/shared_text.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// A base is replaced when it gives less than half of a text.
bool worth_sharing(const SharedText& shared, std::string_view text) { return shared.middle.size() * 2 <= text.size(); }

/// The batch's key; nothing when there is one with this id.
std::optional<std::int64_t> insert_batch(Database& database, const BatchRecord& batch) {
    Query query(
        database.prepared(fmt::format("INSERT INTO batches ({}) VALUES ({}) ON CONFLICT (id) DO NOTHING RETURNING key",
                                      batch_columns().names, batch_columns().placeholders)));
    bind_batch(*query, batch);
    if (!query->executeStep()) return std::nullopt;
    return query->getColumn(0).getInt64();
}

void insert_manifest(Database& database, std::int64_t key, const std::string& manifest) {
    Query query(database.prepared("INSERT INTO batch_manifests VALUES (?1, ?2)"));
    query->bind(1, key);
    bind_text(*query, 2, manifest);
    query->executeStep();
}

void insert_member(Database& database, const std::string& sql, std::int64_t key, std::int64_t position,
                   std::string_view text) {
    Query query(database.prepared(sql));
    query->bind(1, key);
    query->bind(2, position);
    bind_text(*query, 3, text);
    query->executeStep();
}

}  // namespace

/// The jobs so far, in a database that lives in memory and, when it grows, in a file without a name. Nothing of it is
/// shared, so its one transaction holds up nobody.
struct BatchWriter::Impl {
    Impl(Database& the_queue, std::string_view batch_id)
        : queue(the_queue), id(batch_id), staged("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
        staged.exec("PRAGMA journal_mode = OFF");
        staged.exec("CREATE TABLE bases (base INTEGER PRIMARY KEY, manifest TEXT)");
        staged.exec(fmt::format("CREATE TABLE jobs ({}, base, head, tail, middle)", job_columns().names));
        staged.exec("BEGIN");
        insert_base.emplace(staged, "INSERT INTO bases VALUES (?1, ?2)");
        insert_job.emplace(staged, fmt::format("INSERT INTO jobs ({0}, base, head, tail, middle) "
                                               "VALUES ({1}, ?{2}, ?{3}, ?{4}, ?{5})",
                                               job_columns().names, job_columns().placeholders, after(0), after(1),
                                               after(2), after(3)));
    }
    /// The number of a parameter behind the job's columns.
    static int after(int index) { return 2 + job_columns().count + index; }

    void stage(const JobRecord& job, std::string_view manifest);
    void copy_jobs(std::int64_t key);
    void copy_bases(std::int64_t key);

    Database& queue;
    std::string id;
    SQLite::Database staged;
    std::optional<SQLite::Statement> insert_base, insert_job;
    std::string base;  ///< the one that is compared with
    std::int64_t bases = 0;
    std::uint32_t jobs = 0;
};

void BatchWriter::Impl::stage(const JobRecord& job, std::string_view manifest) {
    auto shared = compare_texts(base, manifest);
    if (bases == 0 || !worth_sharing(shared, manifest)) {
        base = manifest;
        shared = compare_texts(base, manifest);
        insert_base->reset();
        insert_base->bind(1, bases++);
        bind_text(*insert_base, 2, base);
        insert_base->exec();
    }
    insert_job->reset();
    insert_job->clearBindings();
    bind_job(*insert_job, job);
    insert_job->bind(after(0), bases - 1);
    insert_job->bind(after(1), static_cast<std::int64_t>(shared.head));
    insert_job->bind(after(2), static_cast<std::int64_t>(shared.tail));
    bind_text(*insert_job, after(3), shared.middle);
    insert_job->exec();
    ++jobs;
}

void BatchWriter::Impl::copy_bases(std::int64_t key) {
    SQLite::Statement rows(staged, "SELECT base, manifest FROM bases");
    while (rows.executeStep())
        insert_member(queue, "INSERT INTO job_manifest_bases VALUES (?1, ?2, ?3)", key, rows.getColumn(0).getInt64(),
                      rows.getColumn(1).getString());
}

void BatchWriter::Impl::copy_jobs(std::int64_t key) {
    const auto& columns = job_columns();
    SQLite::Statement rows(staged,
                           fmt::format("SELECT {}, base, head, tail, middle FROM jobs ORDER BY rowid", columns.names));
    Query job(queue.prepared(
        fmt::format("INSERT INTO batch_jobs (batch, {}) VALUES (?1, {})", columns.names, columns.placeholders)));
    Query manifest(queue.prepared("INSERT INTO job_manifests VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
    while (rows.executeStep()) {
        job->reset();
        job->clearBindings();
        job->bind(1, key);
        bind_job(*job, read_job(rows));
        job->executeStep();
        manifest->reset();
        manifest->bind(1, key);
        manifest->bind(2, rows.getColumn(0).getInt64());
        for (int i = 0; i < 3; ++i) manifest->bind(3 + i, rows.getColumn(columns.count + i).getInt64());
        bind_text(*manifest, 6, rows.getColumn(columns.count + 3).getString());
        manifest->executeStep();
    }
}

BatchWriter::BatchWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BatchWriter::BatchWriter(BatchWriter&&) noexcept = default;
BatchWriter::~BatchWriter() = default;

Result<BatchWriter> Batches::create(std::string_view id) {
    Database& database = *store_.impl_->database;
    VMETTE_TRY(auto impl, database.guarded([&] { return std::make_unique<BatchWriter::Impl>(database, id); }));
    return BatchWriter(std::move(impl));
}

Result<> BatchWriter::add(const JobRecord& job, std::string_view manifest) {
    if (job.index != impl_->jobs)
        return fail(ErrorCode::internal, "job {} of a batch was added as its {}th", job.index, impl_->jobs);
    try {
        impl_->stage(job, manifest);
    } catch (const SQLite::Exception& problem) {
        int number = ::sqlite3_system_errno(impl_->staged.getHandle());
        auto error = sqlite_error(problem, number, impl_->queue.path(), Duration(0));
        return fail(error.code,
                    "the jobs of the batch cannot be kept in a temporary file ({}); TMPDIR names another "
                    "folder for it",
                    problem.what());
    }
    return {};
}

Result<> BatchWriter::commit(const BatchRecord& batch) {
    if (batch.id != impl_->id || batch.jobs != impl_->jobs)
        return fail(ErrorCode::internal, "batch {} of {} jobs was begun as {} and has {}", batch.id, batch.jobs,
                    impl_->id, impl_->jobs);
    Database& database = impl_->queue;
    VMETTE_TRY(bool written, database.write(Durability::power_loss, [&] {
        auto key = insert_batch(database, batch);
        if (!key) return false;
        insert_manifest(database, *key, batch.manifest);
        for (std::int64_t position = 0; const auto& name : batch.groups)
            insert_member(database, "INSERT INTO batch_groups VALUES (?1, ?2, ?3)", *key, position++, name);
        impl_->copy_bases(*key);
        impl_->copy_jobs(*key);
        return true;
    }));
    if (!written) return fail(ErrorCode::internal, "the history already has a batch {}", batch.id);
    return {};
}

}  // namespace vmette::store
