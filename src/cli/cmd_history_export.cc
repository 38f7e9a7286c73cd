/// vmette history export: the history for other programs.

#include "base/text.h"
#include "cli/csv.h"
#include "cli/harmless_stream.h"
#include "cli/run_filter_flags.h"
#include "cli/verbs.h"
#include "store/history.h"
#include "store/run_fields.h"

namespace vmette::cli {
namespace {

/// Bytes that are gathered before they are written.
constexpr std::size_t kPiece = 64 << 10;

class HistoryExportCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.option("--format", "F", format_, "jsonl (default): a document a line; csv: its fields").choices = {
            "jsonl", "csv"};
        filter_.define(arguments);
        filter_.define_order(arguments, "at most so many (default: all)");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto filter, filter_.filter(context));
        if (!filter_.has_limit()) filter.limit = 0;
        VMETTE_TRY(store::Store * store, context.swept_store());
        store::History history(*store);
        console_ = &context.console();
        bool csv = format_ == "csv";
        if (csv) piece_ = csv_line(header());
        if (csv) {
            VMETTE_CHECK_OK(history.each_values(filter, [&](std::span<const store::SqlValue> values) {
                piece_ += csv_line(values);
                return flush(kPiece);
            }));
        } else {
            VMETTE_CHECK_OK(history.each_run(filter, [&](const store::RunRecord& run) {
                piece_ += store::to_json(run, -1) + "\n";
                return flush(kPiece);
            }));
        }
        flush(0);
        VMETTE_CHECK_OK(written_);
        return 0;
    }

private:
    static std::vector<std::string> header() {
        std::vector<std::string> names;
        for (const auto& field : store::run_fields()) names.emplace_back(field.name);
        names.emplace_back("labels");
        return names;
    }

    /// Writes when more than so much is there; false when nobody reads on.
    bool flush(std::size_t beyond) {
        if (piece_.size() <= beyond) return true;
        written_ = write_foreign(*console_, piece_);
        piece_.clear();
        return written_.has_value() && !console_->reader_gone();
    }

    std::optional<std::string> format_;
    RunFilterFlags filter_;
    Console* console_ = nullptr;
    std::string piece_;
    Result<> written_;
};

}  // namespace

const Verb kHistoryExportVerb{
    .name = "history export",
    .summary = "write runs out as JSON Lines or CSV",
    .description =
        "All that the filters select, newest first unless --sort says otherwise. In CSV the columns are the fields of "
        "a\n"
        "run's document, times as RFC 3339, and its labels as a JSON object.",
    .example = "vmette history export --since 30d --format csv > runs.csv",
    .exit_codes = "0  written, even when nothing fits\n1  the history cannot be read\n2  wrong usage",
    .make = make_command<HistoryExportCommand>,
};

}  // namespace vmette::cli
