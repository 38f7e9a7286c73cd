#include "scheduler/life.h"

namespace vmette::scheduler {
namespace {

Transition stay(State state) { return {state, Action::none, false}; }
constexpr Transition kEnd{State::over, Action::none, true};

/// Before the command began there is nothing to be gentle with.
Transition before_start(State state, Event event) {
    switch (event) {
        case Event::hello:
            return state == State::booting ? Transition{State::setting_up, Action::send_setup, false} : stay(state);
        case Event::ready:
            return state == State::setting_up ? Transition{State::starting, Action::send_exec, false} : stay(state);
        case Event::started:
            return state == State::starting ? Transition{State::running, Action::note_start, false} : stay(state);
        case Event::guest_failure:
        case Event::death:
        case Event::boot_timeout:
        case Event::stop:
        case Event::stop_now:
            return kEnd;
        default:
            return stay(state);
    }
}

Transition running(Event event) {
    switch (event) {
        case Event::exited:
            return {State::collecting, Action::collect, true};
        case Event::command_timeout:
        case Event::idle_timeout:
        case Event::stop:
            return {State::stopping, Action::terminate, true};
        case Event::guest_failure:
        case Event::death:
        case Event::stop_now:
            return kEnd;
        default:
            return stay(State::running);
    }
}

Transition stopping(Event event) {
    switch (event) {
        case Event::exited:
            return {State::collecting, Action::collect, true};
        case Event::guest_failure:
        case Event::death:
        case Event::stop_now:
        case Event::grace_over:
            return kEnd;
        default:
            return stay(State::stopping);
    }
}

/// The command's own end is known; nothing that happens now changes it.
Transition collecting(Event event) {
    switch (event) {
        case Event::finished:
        case Event::guest_failure:
        case Event::death:
        case Event::stop_now:
        case Event::collect_timeout:
            return {State::over, Action::none, false};
        default:
            return stay(State::collecting);
    }
}

}  // namespace

Transition next(State state, Event event) {
    switch (state) {
        case State::booting:
        case State::setting_up:
        case State::starting:
            return before_start(state, event);
        case State::running:
            return running(event);
        case State::stopping:
            return stopping(event);
        case State::collecting:
            return collecting(event);
        case State::over:
            break;
    }
    return stay(State::over);
}

std::string_view to_string(State state) {
    switch (state) {
        case State::booting:
            return "booting";
        case State::setting_up:
            return "setting up";
        case State::starting:
            return "starting";
        case State::running:
            return "running";
        case State::stopping:
            return "stopping";
        case State::collecting:
            return "collecting";
        case State::over:
            return "over";
    }
    return "over";
}

std::string_view to_string(Event event) {
    switch (event) {
        case Event::hello:
            return "hello";
        case Event::ready:
            return "ready";
        case Event::started:
            return "started";
        case Event::exited:
            return "exited";
        case Event::guest_failure:
            return "guest failure";
        case Event::finished:
            return "finished";
        case Event::death:
            return "death";
        case Event::boot_timeout:
            return "boot timeout";
        case Event::command_timeout:
            return "command timeout";
        case Event::idle_timeout:
            return "idle timeout";
        case Event::stop:
            return "stop";
        case Event::stop_now:
            return "stop now";
        case Event::grace_over:
            return "grace over";
        case Event::collect_timeout:
            return "collect timeout";
    }
    return "?";
}

}  // namespace vmette::scheduler
