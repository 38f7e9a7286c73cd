#include "cli/context.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "scheduler/run.h"

namespace vmette::cli {

Result<const Layout*> Context::layout() {
    if (!layout_) {
        VMETTE_TRY(layout_, layout_from_environment());
    }
    return &*layout_;
}

Result<store::Store*> Context::store() {
    if (!store_) {
        VMETTE_TRY(const Layout* places, layout());
        VMETTE_CHECK_OK(make_private_dir(places->state));
        auto opened = store::Store::open(places->database(), clock_);
        // Of a newer vmette: nothing that the user wrote is wrong.
        if (!opened && opened.error().code == ErrorCode::unsupported)
            return fail(ErrorCode::io, "{}", opened.error().text());
        VMETTE_TRY(store_, std::move(opened));
    }
    return &*store_;
}

Result<store::Store*> Context::swept_store() {
    VMETTE_TRY(store::Store * opened, store());
    auto swept = scheduler::sweep(*layout_, *opened, false);
    if (!swept) {
        log(LogLevel::info, "sweep: {}", harmless_line(swept.error().text()));
        return opened;
    }
    for (const auto& leftover : *swept) {
        log(LogLevel::info, "swept {} {} of run {} {}", harmless_line(leftover.what), harmless_line(leftover.path),
            leftover.run_id, harmless_line(leftover.problem));
    }
    return opened;
}

std::optional<std::string> environment_variable(const std::string& name) {
    const char* value = ::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
}

}  // namespace vmette::cli
