#include "scheduler/batch_run.h"

#include "scheduler/batch_driver.h"
#include "scheduler/run.h"

namespace vmette::scheduler {

Result<BatchOutcome> drive_batch(const BatchHost& host, const store::BatchRecord& batch) {
    VMETTE_TRY(auto rules, rules_from_json(batch.rules));
    BatchDriver driver(host, batch, std::move(rules));
    return driver.drive();
}

std::string_view to_string(BatchEvent::Kind kind) {
    using enum BatchEvent::Kind;
    switch (kind) {
        case batch_started:
            return "batch_started";
        case job_started:
            return "job_started";
        case job_phase:
            return "job_phase";
        case job_retried:
            return "job_retried";
        case job_ended:
            return "job_ended";
        case job_settled:
            return "job_settled";
        case warning:
            return "warning";
        case stopping:
            return "stopping";
        case batch_ended:
            return "batch_ended";
    }
    return "warning";
}

int batch_exit_code(const BatchOutcome& outcome) {
    switch (outcome.status) {
        case store::BatchStatus::succeeded:
            return 0;
        case store::BatchStatus::interrupted:
        case store::BatchStatus::running:
            return kExitInterrupted;
        case store::BatchStatus::failed:
        case store::BatchStatus::cancelled:
            return 1;
    }
    return 1;
}

}  // namespace vmette::scheduler
