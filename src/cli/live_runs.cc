#include "cli/live_runs.h"

#include <poll.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "scheduler/live/place.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

using scheduler::live::Kind;
using scheduler::live::Request;
using scheduler::live::Type;

/// Of a ULID in lower case: github.com/ulid/spec.
constexpr std::size_t kRunIdLength = 26;
bool is_id_character(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); }

/// A process that answers does so in milliseconds.
constexpr Duration kAnswerLimit = std::chrono::seconds(1);
/// Between two questions to the history, of a run whose process cannot be reached.
constexpr Duration kAskAgain{200};

Result<std::vector<store::RunRecord>> live_runs(store::Store& store) {
    VMETTE_TRY(auto runs, store.running_runs());
    std::erase_if(runs, [](const auto& run) { return !is_alive(run.owner); });
    return runs;
}

/// As a whole it is an id or a name; only then the beginning of an id.
std::vector<store::RunRecord> matching(const std::vector<store::RunRecord>& runs, std::string_view word) {
    std::string lower(word);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    std::vector<store::RunRecord> found;
    auto collect = [&](auto&& fits) {
        if (found.empty()) std::ranges::copy_if(runs, std::back_inserter(found), fits);
    };
    collect([&](const auto& run) { return run.id == lower; });
    collect([&](const auto& run) { return run.name == word; });
    collect([&](const auto& run) { return run.id.starts_with(lower); });
    return found;
}

Result<std::optional<store::RunRecord>> one_live_run(store::Store& store, std::string_view word) {
    if (word.empty()) return fail(ErrorCode::bad_input, "expected the id or the name of a run");
    VMETTE_TRY(auto runs, live_runs(store));
    auto found = matching(runs, word);
    if (found.empty()) return std::nullopt;
    if (found.size() == 1) return found.front();
    constexpr std::size_t kMostNamed = 5;
    std::vector<std::string> ids;
    for (const auto& run : found)
        if (ids.size() < kMostNamed) ids.push_back(run.id);
    return fail(ErrorCode::bad_input, "{} fits {} live runs: {}{}", harmless_line(word), found.size(),
                fmt::join(ids, ", "), found.size() > kMostNamed ? ", …" : "");
}

}  // namespace

Result<store::RunRecord> find_live_run(Context& context, std::string_view word) {
    VMETTE_TRY(store::Store * store, context.store());
    VMETTE_TRY(auto live, one_live_run(*store, word));
    if (live) return *std::move(live);
    VMETTE_TRY(store, context.swept_store());
    auto ended = store->find_run(word);
    if (!ended) return Failure(ended.error());
    std::string_view how = ended->reason.empty() ? to_string(ended->status) : std::string_view(ended->reason);
    if (ended->status == store::RunStatus::running) how = "its process is gone";
    return fail(ErrorCode::not_found, "run {} ({}) has ended: {}", ended->id, harmless_line(ended->name), how);
}

Result<std::string> find_live_id(Context& context, std::string_view word) {
    VMETTE_TRY(const Layout* layout, context.layout());
    bool whole = word.size() == kRunIdLength && std::ranges::all_of(word, is_id_character);
    if (whole && scheduler::live::has_socket(*layout, word)) return std::string(word);
    VMETTE_TRY(auto run, find_live_run(context, word));
    return run.id;
}

Result<store::RunRecord> find_any_run(Context& context, std::string_view word) {
    VMETTE_TRY(store::Store * store, context.swept_store());
    VMETTE_TRY(auto live, one_live_run(*store, word));
    return store->find_run(live ? std::string_view(live->id) : word);
}

Result<> EndWatch::connect(const Request& request) {
    client_.reset();
    VMETTE_TRY(const Layout* layout, context_.layout());
    VMETTE_TRY(client_, scheduler::live::Client::ask(*layout, id_, request));
    return {};
}

Result<bool> EndWatch::stop(bool now) {
    Request request;
    request.kind = static_cast<std::uint8_t>(Kind::stop);
    request.now = now;
    VMETTE_CHECK_OK(connect(request));
    auto answer = client_->wait(kAnswerLimit);
    if (!answer && answer.error().code == ErrorCode::timeout) return false;
    if (!answer) return Failure(answer.error());
    if (*answer && (*answer)->type == Type::refused) return Failure(scheduler::live::refusal(**answer));
    return true;
}

Result<bool> EndWatch::listen(Duration limit) {
    for (;;) {
        auto frame = client_->wait(limit);
        if (!frame && frame.error().code == ErrorCode::timeout) return false;
        if (!frame) return Failure(frame.error());
        if (!*frame) return true;
        if ((*frame)->type == Type::refused) return Failure(scheduler::live::refusal(**frame));
        if ((*frame)->type != Type::ended) continue;
        if (auto code = scheduler::live::unpack<scheduler::live::Number>((*frame)->payload))
            told_ = static_cast<int>(code->value & 0xFF);
    }
}

Result<std::optional<RunEnd>> EndWatch::ask_history() {
    VMETTE_TRY(store::Store * store, context_.swept_store());
    VMETTE_TRY(auto record, store->get_run(id_));
    if (!record) return fail(ErrorCode::not_found, "run {} is not in the history any more", id_);
    if (record->status == store::RunStatus::running && is_alive(record->owner)) return std::nullopt;
    if (record->status == store::RunStatus::running) {
        // It may have written its end between our two looks. Else that could not be written, nor could the sweep.
        VMETTE_TRY(record, store->get_run(id_));
        if (record && record->status == store::RunStatus::running) {
            record->status = store::RunStatus::lost;
            record->reason = "lost";
        }
    }
    if (!record) return fail(ErrorCode::not_found, "run {} is not in the history any more", id_);
    int code = told_.value_or(scheduler::exit_code_of(*record));
    return RunEnd{code, *std::move(record)};
}

Result<std::optional<RunEnd>> EndWatch::look(Duration limit) {
    for (;;) {
        if (!client_) {
            VMETTE_TRY(auto end, ask_history());
            if (end) return end;
            Request request;
            request.kind = static_cast<std::uint8_t>(Kind::watch);
            // Where nobody answers the history does, at the latest when the process is gone.
            if (!connect(request)) client_.reset();
        }
        if (!client_) {
            ::poll(nullptr, 0, static_cast<int>(std::min(limit, kAskAgain).count()));
            return std::nullopt;
        }
        auto over = listen(limit);
        if (!over && over.error().code == ErrorCode::busy) {
            // No place for one more who watches: the history tells as well.
            client_.reset();
            ::poll(nullptr, 0, static_cast<int>(std::min(limit, kAskAgain).count()));
            return std::nullopt;
        }
        if (!over) return Failure(over.error());
        if (!*over) return std::nullopt;
        client_.reset();
        VMETTE_TRY(auto end, ask_history());
        if (end) return end;
        // It was let go of while the run goes on: asked again, without haste.
        ::poll(nullptr, 0, static_cast<int>(kAskAgain.count()));
    }
}

Result<RunEnd> EndWatch::wait() {
    constexpr Duration kStretch = std::chrono::hours(1);
    for (;;) {
        VMETTE_TRY(auto end, look(kStretch));
        if (end) return *std::move(end);
    }
}

}  // namespace vmette::cli
