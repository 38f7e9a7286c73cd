#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "base/fd.h"
#include "store/database.h"
#include "store/migrate.h"
#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class OpenTest : public StoreTest {
protected:
    std::string file() const { return path().string(); }

    /// Runs SQL through SQLite itself, making the file when it is not there.
    void run_sql(const std::string& sql) {
        std::filesystem::create_directories(path().parent_path());
        SQLite::Database database(file(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        database.exec(sql);
    }
    std::string query(const std::string& sql) {
        SQLite::Database database(file(), SQLite::OPEN_READONLY);
        return database.execAndGet(sql).getString();
    }
    std::string bytes() { return value_of(read_file(path(), 64 << 20)); }
    void write_bytes(const std::string& content) {
        std::filesystem::create_directories(path().parent_path());
        auto fd = open_file(path(), O_WRONLY | O_CREAT | O_TRUNC);
        ASSERT_OK(fd);
        ASSERT_OK(write_all(fd->get(), content));
    }
    unsigned mode(const std::filesystem::path& of) {
        struct stat info{};
        return ::stat(of.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
    }
    std::string damaged(const std::string& detail) {
        return fmt::format(
            "the history {0} is damaged or not a vmette database ({1}); \"vmette doctor\" says what can be saved, and "
            "a "
            "new one is made when it is moved away with its companions: {0}, {0}-wal, {0}-shm",
            file(), detail);
    }
};

TEST_F(OpenTest, NewHistoryIsPrivateAndInItsFolder) {
    mode_t before = ::umask(0);
    {
        auto store = open();
        ASSERT_OK(store);
        ASSERT_OK(store->put_fact("k", "v"));
        EXPECT_EQ(mode(path().parent_path()), 0700u);
        for (const char* suffix : {"", "-wal", "-shm"}) EXPECT_EQ(mode(file() + suffix), 0600u) << suffix;
    }
    ::umask(before);
}

TEST_F(OpenTest, HistoryThatOthersCouldReadIsMadePrivate) {
    ASSERT_OK(open());
    ASSERT_EQ(::chmod(path().c_str(), 0644), 0);
    ASSERT_OK(open());
    EXPECT_EQ(mode(path()), 0600u);
}

TEST_F(OpenTest, NewHistoryHasTheNewestSchemaAndOurMark) {
    auto store = open();
    ASSERT_OK(store);
    EXPECT_EQ(store->schema_version(), migrations().back().version);
    EXPECT_EQ(query("PRAGMA user_version"), std::to_string(migrations().back().version));
    EXPECT_EQ(query("PRAGMA application_id"), std::to_string(0x766d6574));
    EXPECT_EQ(query("PRAGMA journal_mode"), "wal");
    EXPECT_EQ(value_of(store->check()), "");
}

TEST_F(OpenTest, EmptyFileIsANewHistory) {
    write_bytes("");
    auto store = open();
    ASSERT_OK(store);
    ASSERT_OK(store->insert_run(full_run("01a")));
}

TEST_F(OpenTest, RunsSurviveClosingWithoutACheckpoint) {
    {
        auto store = open();
        ASSERT_OK(store);
        ASSERT_OK(store->insert_run(full_run("01a")));
    }
    auto store = open();
    ASSERT_OK(store);
    EXPECT_EQ(**store->get_run("01a"), full_run("01a"));
}

TEST_F(OpenTest, TablesAreStrict) {
    ASSERT_OK(open());
    EXPECT_EQ(
        query(
            "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'"),
        "0");
}

TEST_F(OpenTest, MigrationsAreNumberedFromOneWithoutGaps) {
    int expected = 1;
    for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, expected++) << migration.name;
    EXPECT_GE(expected, 3);
}

TEST_F(OpenTest, HistoryOfSchemaOneIsBroughtUpWithItsRuns) {
    std::string snapshot(migrations().front().sql);
    snapshot += value_of(read_file(std::filesystem::path(VMETTE_STORE_TEST_DATA) / "version1.sql", 1 << 20));
    run_sql("PRAGMA journal_mode = WAL; " + snapshot + fmt::format("PRAGMA application_id = {};", 0x766d6574) +
            "PRAGMA user_version = 1");
    auto store = open();
    ASSERT_OK(store);
    EXPECT_EQ(query("PRAGMA user_version"), std::to_string(migrations().back().version));
    RunRecord old = new_run("01old", "old");
    old.attempt = 2;
    old.status = RunStatus::succeeded;
    old.reason = "exited";
    old.exit_code = 0;
    old.started_at = instant(500);
    old.finished_at = instant(1000);
    old.phases.boot_ms = 300.5;
    old.image_source = "./rootfs";
    old.accel = "tcg";
    old.vcpus = 2;
    old.memory_mib = 512;
    old.scratch_mib = 8192;
    old.usage = {7, 6, 5, 4, 3, 2, 1, 0, 0};
    old.net_mode = "none";
    old.net_denied = {{"evil.example", 443, 2}};
    old.labels = {{"team", "blue"}};
    old.manifest = "name = \"old\"";
    old.artifacts = {{"out.bin", 10, "aa"}};
    old.owner = {77, 88, "boot"};
    EXPECT_EQ(**store->get_run("01old"), old);
    EXPECT_EQ(value_of(store->running_runs()).size(), 1u);
    ASSERT_OK(store->put_fact("new", "table"));
}

TEST_F(OpenTest, MigrationThatFailsChangesNothing) {
    const Migration broken[] = {{1, "first", "CREATE TABLE a (x INTEGER) STRICT;"},
                                {2, "second", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (y INTEGER) STRICT;"}};
    auto database = Database::open(path(), Database::Mode::read_write, std::chrono::seconds(1));
    ASSERT_OK(database);
    auto migrated = migrate(**database, broken);
    ASSERT_FALSE(migrated);
    EXPECT_EQ(
        migrated.error().text(),
        fmt::format("cannot bring the history to schema 2 (second): the history {}: table a already exists", file()));
    EXPECT_EQ(query("PRAGMA user_version"), "1");
    EXPECT_EQ(query("SELECT group_concat(name) FROM sqlite_schema"), "a");
}

TEST_F(OpenTest, NewerHistoryIsRefusedAndUntouched) {
    ASSERT_OK(open());
    run_sql("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
    std::string before = bytes();
    std::string expected = fmt::format(
        "the history {} was written by a newer vmette (schema 99, this one knows up to {}); use that vmette, or set "
        "VMETTE_STATE_DIR to keep another history",
        file(), migrations().back().version);
    for (const auto& store : {open(), Store::open_read_only(path(), clock_)}) {
        ASSERT_FALSE(store);
        EXPECT_EQ(store.error().code, ErrorCode::unsupported);
        EXPECT_EQ(store.error().text(), expected);
    }
    EXPECT_EQ(bytes(), before);
}

TEST_F(OpenTest, NewerHistoryWhoseLogIsNotYetCopiedKeepsItsLog) {
    ASSERT_OK(open());
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    // As a newer vmette leaves it: the version is in the log alone.
    {
        auto database = Database::open(path(), Database::Mode::read_write, std::chrono::seconds(1));
        ASSERT_OK(database);
        ASSERT_OK((*database)->write(Durability::process, [&] { (*database)->execute("PRAGMA user_version = 99"); }));
    }
    std::string before = bytes(), log = value_of(read_file(file() + "-wal", 64 << 20));
    ASSERT_GT(log.size(), 0u);
    ASSERT_FALSE(open());
    EXPECT_EQ(bytes(), before);
    EXPECT_EQ(value_of(read_file(file() + "-wal", 64 << 20)), log);
}

TEST_F(OpenTest, FileThatIsNoDatabaseIsRefusedWithAdviceAndUntouched) {
    std::string text = "this is a letter to my aunt, and not a database at all";
    text.resize(8192, '.');
    write_bytes(text);
    auto store = open();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::io);
    EXPECT_EQ(store.error().text(), damaged("file is not a database"));
    EXPECT_EQ(bytes(), text);
}

TEST_F(OpenTest, DatabaseOfAnotherProgramIsRefusedAndUntouched) {
    for (const char* sql : {"CREATE TABLE theirs (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 99"}) {
        std::filesystem::remove(path());
        run_sql(sql);
        std::string before = bytes();
        auto store = open();
        ASSERT_FALSE(store) << sql;
        EXPECT_EQ(store.error().code, ErrorCode::io);
        EXPECT_EQ(store.error().text(), damaged("it belongs to another program"));
        EXPECT_EQ(bytes(), before);
    }
}

TEST_F(OpenTest, CutOffHistoryIsRefusedWithAdvice) {
    {
        auto store = open();
        ASSERT_OK(store);
        for (int i = 0; i < 50; ++i) ASSERT_OK(store->insert_run(full_run(fmt::format("01{:03}", i))));
    }
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    std::filesystem::resize_file(path(), 3 * 4096);
    auto store = open();
    // The header is sound, so it may open; what is missing is met by the first call that needs it.
    auto runs = store ? store->list_runs({}) : Failure(store.error());
    ASSERT_FALSE(runs);
    EXPECT_EQ(runs.error().code, ErrorCode::io);
    EXPECT_EQ(runs.error().text(), damaged("database disk image is malformed"));
}

TEST_F(OpenTest, CheckSaysWhatIsWrong) {
    {
        auto store = open();
        ASSERT_OK(store);
        for (int i = 0; i < 50; ++i) ASSERT_OK(store->insert_run(full_run(fmt::format("01{:03}", i))));
    }
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    int page = std::stoi(query("SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_name'"));
    std::string content = bytes();
    content.replace(static_cast<std::size_t>(page - 1) * 4096, 4096, std::string(4096, '\0'));
    write_bytes(content);
    auto store = open();
    ASSERT_OK(store);
    EXPECT_THAT(
        value_of(store->check()),
        AllOf(HasSubstr(fmt::format("Page {}: btreeInitPage() returns error code 11", page)), Not(HasSubstr("\n"))));
}

TEST_F(OpenTest, ValuesThatNoVmetteWritesAreReportedNotBelieved) {
    for (const char* sql : {"UPDATE runs SET exit_code = 1 << 40", "UPDATE runs SET created_at = 9223372036854775807",
                            "UPDATE runs SET vcpus = -1", "UPDATE run_denied SET port = 70000"}) {
        std::filesystem::remove_all(path().parent_path());
        {
            auto store = open();
            ASSERT_OK(store);
            ASSERT_OK(store->insert_run(full_run("01a")));
        }
        run_sql(sql);
        auto store = open();
        ASSERT_OK(store);
        auto run = store->get_run("01a");
        ASSERT_FALSE(run) << sql;
        EXPECT_EQ(run.error().code, ErrorCode::io);
        EXPECT_THAT(run.error().text(), HasSubstr("makes no sense)")) << sql;
    }
}

TEST_F(OpenTest, FolderInPlaceOfTheFileIsRefused) {
    std::filesystem::create_directories(path());
    auto store = open();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::io);
    EXPECT_EQ(store.error().text(), fmt::format("the history {} is not a file", file()));
}

TEST_F(OpenTest, FileInPlaceOfTheFolderIsRefused) {
    auto parent = path().parent_path();
    ASSERT_OK(open_file(parent, O_WRONLY | O_CREAT));
    auto store = open();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().text(), fmt::format("open the history {}: Not a directory", file()));
}

TEST_F(OpenTest, ReadOnlyNeedsAHistory) {
    auto store = Store::open_read_only(path(), clock_);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::not_found);
    EXPECT_EQ(store.error().text(), fmt::format("open the history {}: No such file or directory", file()));
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(OpenTest, ReadOnlyReadsAndNeverWrites) {
    ASSERT_OK(value_of(open()).insert_run(full_run("01a")));
    auto store = Store::open_read_only(path(), clock_);
    ASSERT_OK(store);
    EXPECT_EQ(**store->get_run("01a"), full_run("01a"));
    auto written = store->put_fact("k", "v");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::io);
    EXPECT_EQ(written.error().text(),
              fmt::format("cannot use the history {}: attempt to write a readonly database; the file and its folder "
                          "must be writable for you",
                          file()));
}

TEST_F(OpenTest, ReadOnlyDoesNotMigrate) {
    run_sql(std::string(migrations().front().sql) + "PRAGMA application_id = 1986880884; PRAGMA user_version = 1");
    auto store = Store::open_read_only(path(), clock_);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::unsupported);
    EXPECT_EQ(store.error().text(),
              fmt::format("the history {} was written by an older vmette (schema 1, this one needs {}); any command "
                          "that writes to it, such as \"vmette gc\", brings it up to date",
                          file(), migrations().back().version));
    EXPECT_EQ(query("PRAGMA user_version"), "1");
}

TEST_F(OpenTest, WriterThatWaitsTooLongIsToldWhy) {
    ASSERT_OK(open());
    auto store = Store::open(path(), clock_, std::chrono::milliseconds(20));
    ASSERT_OK(store);
    SQLite::Database other(file(), SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    auto inserted = store->insert_run(new_run("01a"));
    ASSERT_FALSE(inserted);
    EXPECT_EQ(inserted.error().code, ErrorCode::busy);
    EXPECT_EQ(inserted.error().text(), fmt::format("the history {} was locked by another process for 20ms", file()));
    // Readers are not held up by a writer.
    ASSERT_OK(store->list_runs({}));
    other.exec("COMMIT");
    ASSERT_OK(store->insert_run(new_run("01a")));
}

}  // namespace
}  // namespace vmette::store
