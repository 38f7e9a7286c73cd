#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "base/text.h"
#include "store/history.h"
#include "store/impl.h"
#include "store/run_query.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// Nobody reads more; each holds the values of its runs until all are seen.
constexpr std::size_t kMostGroups = 100'000;
constexpr std::size_t kMostKeys = 8;
constexpr std::string_view kLabelPrefix = "label:";

struct GroupKey {
    std::string_view name, sql;
};
constexpr std::string_view kDay = "day";
constexpr std::array kGroupKeys{
    GroupKey{"name", "runs.name"},     GroupKey{"image", "runs.image_source"},
    GroupKey{"batch", "runs.batch"},   GroupKey{"status", "runs.status"},
    GroupKey{"reason", "runs.reason"}, GroupKey{kDay, "runs.created_at / 86400000"},
};

/// The columns of the keys; a label's name is an argument of the query.
Result<std::string> key_columns(std::span<const std::string> by, std::vector<SqlValue>& arguments) {
    if (by.size() > kMostKeys) return fail(ErrorCode::bad_input, "at most {} keys to group by", kMostKeys);
    std::string columns;
    for (const std::string& word : by) {
        if (word.starts_with(kLabelPrefix) && word.size() > kLabelPrefix.size()) {
            arguments.emplace_back(word.substr(kLabelPrefix.size()));
            columns += "(SELECT own.value FROM run_labels AS own WHERE own.run = runs.key AND own.label = ?), ";
            continue;
        }
        auto key = std::ranges::find(kGroupKeys, std::string_view(word), &GroupKey::name);
        if (key == kGroupKeys.end()) {
            std::array<std::string_view, kGroupKeys.size()> names;
            std::ranges::transform(kGroupKeys, names.begin(), &GroupKey::name);
            auto nearest = nearest_name(word, names);
            return fail(ErrorCode::bad_input, "cannot group by \"{}\": {}expected {} or label:KEY",
                        harmless_line(word, 80), nearest ? fmt::format("did you mean {}? ", *nearest) : "",
                        fmt::join(names, ", "));
        }
        columns += fmt::format("{}, ", key->sql);
    }
    return columns;
}

Spread spread_of(std::vector<double>& values) {
    if (values.empty()) return {};
    auto ranked = [&](double part) {
        auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
        auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
        std::nth_element(values.begin(), at, values.end());
        return *at;
    };
    constexpr double kMedian = 0.5, kHigh = 0.95;
    Spread spread{.count = values.size()};
    spread.max = *std::ranges::max_element(values);
    spread.p50 = ranked(kMedian);
    spread.p95 = ranked(kHigh);
    return spread;
}

/// One group while its runs come.
struct Group {
    RunStats stats;
    std::vector<double> durations, boots, memories;

    void count(RunStatus status) {
        ++stats.runs;
        switch (status) {
            case RunStatus::running:
                ++stats.running;
                break;
            case RunStatus::succeeded:
                ++stats.succeeded;
                break;
            case RunStatus::failed:
                ++stats.failed;
                break;
            case RunStatus::stopped:
                ++stats.stopped;
                break;
            case RunStatus::lost:
                ++stats.lost;
                break;
        }
    }
    RunStats finish() {
        stats.duration_ms = spread_of(durations);
        stats.boot_ms = spread_of(boots);
        stats.memory_bytes = spread_of(memories);
        return std::move(stats);
    }
};

class Groups {
public:
    explicit Groups(std::span<const std::string> by) : by_(by) {}

    /// False: there are too many.
    bool add(SQLite::Statement& row) {
        name_.clear();
        int column = 0;
        for (; column < static_cast<int>(by_.size()); ++column) {
            // A length before each part: no two lists of keys have one name.
            auto value = row.getColumn(column);
            name_ += value.isNull() ? "-" : fmt::format("{}:", value.getBytes());
            name_.append(value.getText(), static_cast<std::size_t>(value.getBytes()));
        }
        auto [found, is_new] = groups_.try_emplace(name_);
        Group& group = found->second;
        if (is_new) set_keys(row, group);
        auto status = parse_run_status(row.getColumn(column).getText());
        if (!status) throw DamagedRow("a run has an unknown status");
        group.count(*status);
        for (auto* values : {&group.durations, &group.boots, &group.memories})
            if (auto value = row.getColumn(++column); !value.isNull()) values->push_back(value.getDouble());
        return groups_.size() <= kMostGroups;
    }

    std::vector<RunStats> finish() {
        std::vector<RunStats> out;
        out.reserve(groups_.size());
        for (auto& [name, group] : groups_) out.push_back(group.finish());
        bool by_day = !by_.empty() && by_.front() == kDay;
        std::ranges::sort(out, [&](const RunStats& a, const RunStats& b) {
            if (!by_day && a.runs != b.runs) return a.runs > b.runs;
            return a.keys < b.keys;
        });
        return out;
    }

private:
    void set_keys(SQLite::Statement& row, Group& group) const {
        for (int column = 0; const std::string& word : by_) {
            auto value = row.getColumn(column++);
            auto& key = group.stats.keys.emplace_back();
            if (value.isNull()) continue;
            key = word == kDay ? day_text(value.getInt64()) : value.getString();
        }
    }
    static std::string day_text(std::int64_t day) {
        constexpr std::int64_t kMost = 365LL * 10'000;
        if (day < -kMost || day > kMost) throw DamagedRow("a run has an impossible time");
        std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
        return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                           static_cast<unsigned>(date.day()));
    }

    std::span<const std::string> by_;
    std::string name_;
    std::unordered_map<std::string, Group> groups_;
};

}  // namespace

std::optional<double> RunStats::failure_rate() const {
    if (runs == running) return std::nullopt;
    return static_cast<double>(failed + lost) / static_cast<double>(runs - running);
}

Result<std::vector<RunStats>> History::stats(const RunFilter& filter, std::span<const std::string> by) {
    std::vector<SqlValue> labels;
    VMETTE_TRY(std::string columns, key_columns(by, labels));
    columns += "runs.status, runs.finished_at - runs.created_at, runs.boot_ms, nullif(runs.peak_memory_bytes, 0)";
    VMETTE_TRY(RunQuery query, unordered_query_of(filter, columns));
    query.arguments.insert(query.arguments.begin(), labels.begin(), labels.end());
    return flat(store_.impl_->database->guarded([&]() -> Result<std::vector<RunStats>> {
        SQLite::Statement row(store_.impl_->database->connection(), query.sql);
        query.bind(row);
        Groups groups(by);
        while (row.executeStep())
            if (!groups.add(row))
                return fail(ErrorCode::bad_input, "there are more than {} groups: select fewer runs", kMostGroups);
        return groups.finish();
    }));
}

}  // namespace vmette::store
