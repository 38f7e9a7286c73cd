#pragma once
/// Going over the jobs that a [[job]] table makes, and saying what is wrong with single ones.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "manifest/batch_loading.h"

namespace vmette::manifest {

/// Binds the variables of each job of the table in turn, rows before combinations, and calls `visit` with its row (null
/// without a file) until it returns false. What is wrong with the file is reported, unless it was `before`.
/// `bindings` has a place for every variable.
void for_each_job(JobTable& table, BatchLoading& loading, bool before, Bindings& bindings,
                  const std::function<bool(const Rows::Row* row)>& visit);

/// Reports the variables of a template that the table can be seen not to define. Fields of JSON cannot: they are asked
/// for row by row.
void check_defined(const JobTable& table, const Template& made, BatchLoading& loading);

/// One job, for a message.
struct JobContext {
    const JobTable& table;
    const Rows::Row* row;
    std::string_view name;
};

/// Reports what is wrong with single jobs: a few of one cause, the rest as a number. A cause is a place of the
/// manifest.
class JobReport {
public:
    explicit JobReport(BatchLoading& loading) : l_(loading) {}

    /// `made` is the template that the wrong text comes from; null when it comes from none. The place is that of the
    /// row's value when the template holds one, else of `cause`.
    void add(const JobContext& job, Place cause, const Template* made, std::string_view message);
    /// Says which variables of the template the row has no field for.
    void check_bound(const JobContext& job, const Template& made, const Bindings& bindings);
    /// The rest as numbers. To be called when the table was gone over; `rows` is how many rows there were.
    void finish(const JobTable& table, std::uint64_t rows);

private:
    struct Missing {
        std::uint64_t count = 0;
        std::uint64_t last_line = 0;
        Place first_use;
        std::string hint;
        std::vector<std::tuple<Place, std::string, std::string>> first;  ///< place, message, line
    };
    void missing(const JobContext& job, const Template& made, VariableId variable);
    const Field* field_of(const JobContext& job, const Template& made) const;

    BatchLoading& l_;
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::pair<Place, std::uint64_t>> causes_;
    std::map<VariableId, Missing> missing_;
};

}  // namespace vmette::manifest
