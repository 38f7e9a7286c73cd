/// vmette batch report: a page for people, JUnit's XML for programs.

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/batch_report.h"
#include "cli/batch_text.h"
#include "cli/times.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

constexpr std::size_t kFailuresShown = 20;

class BatchReportCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "the batch's id, a unique beginning of it, or its name");
        id.required = true;
        id.completes = Completes::batches;
        arguments.option("--html", "FILE", html_, "write one self-contained page; - is stdout");
        arguments.option("--junit", "FILE", junit_, "write JUnit's XML; - is stdout");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        store::Batches batches(*store);
        VMETTE_TRY(auto batch, batches.find(*id_));
        VMETTE_TRY(auto report, make_report(batches, batch, context.clock().now()));
        if (html_) VMETTE_CHECK_OK(put(context, *html_, report_html(report)));
        if (junit_) VMETTE_CHECK_OK(put(context, *junit_, report_junit(report)));
        if (!html_ && !junit_) VMETTE_CHECK_OK(context.console().write(summary(report)));
        return 0;
    }

private:
    static Result<> put(Context& context, const std::string& file, const std::string& text) {
        if (file == "-") return context.console().write(text);
        VMETTE_TRY(Fd out, open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0644));
        if (auto written = write_all(out.get(), text); !written)
            return Failure(written.error().because("cannot write " + file));
        context.console().note("wrote " + file);
        return {};
    }

    static std::string summary(const BatchReport& report) {
        std::string text = fmt::format("{}  {}  {}\n{}\n", report.batch.id, harmless_line(report.batch.name),
                                       to_string(shown_status(report.batch)), counts_text(report.counts));
        std::size_t shown = 0;
        for (const auto& [index, last_lines] : report.last_lines) {
            if (shown++ == kFailuresShown) {
                text += fmt::format("\nand {} more failures\n", report.last_lines.size() - kFailuresShown);
                break;
            }
            const auto& job = report.jobs[index];
            text += fmt::format("\n{}  {}{}  {}  run {}\n", harmless_line(job.name), job.reason,
                                job.exit_code ? fmt::format(" {}", *job.exit_code) : "", time_of(job, report.now),
                                job.run_id);
            if (!last_lines.empty()) text += indented(last_lines);
        }
        return text;
    }

    static std::string indented(const std::string& lines) {
        std::string text = "    ";
        for (char c : lines) {
            text += c;
            if (c == '\n') text += "    ";
        }
        return text + "\n";
    }

    std::optional<std::string> id_, html_, junit_;
};

}  // namespace

const Verb kBatchReportVerb{
    .name = "batch report",
    .summary = "report on a batch: a page with its timeline and failures, or JUnit's XML",
    .example = "vmette batch report eval-0412 --html report.html --junit report.xml",
    .exit_codes = "0  written\n1  there is no such batch, or the file cannot be written\n2  wrong usage",
    .make = make_command<BatchReportCommand>,
};

}  // namespace vmette::cli
