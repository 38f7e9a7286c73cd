#include "scheduler/life.h"

#include <gtest/gtest.h>

#include <vector>

namespace vmette::scheduler {
namespace {

constexpr State kStates[] = {State::booting,  State::setting_up, State::starting, State::running,
                             State::stopping, State::collecting, State::over};
constexpr Event kEvents[] = {Event::hello,           Event::ready,          Event::started, Event::exited,
                             Event::guest_failure,   Event::finished,       Event::death,   Event::boot_timeout,
                             Event::command_timeout, Event::idle_timeout,   Event::stop,    Event::stop_now,
                             Event::grace_over,      Event::collect_timeout};

struct Row {
    State from;
    Event event;
    Transition to;
};

/// The whole table: what is not named here leaves the state as it is, does nothing and causes nothing.
const std::vector<Row>& table() {
    using enum State;
    using enum Event;
    static const std::vector<Row> rows = [] {
        std::vector<Row> made = {
            {booting, hello, {setting_up, Action::send_setup, false}},
            {setting_up, ready, {starting, Action::send_exec, false}},
            {starting, started, {running, Action::note_start, false}},
            {running, exited, {collecting, Action::collect, true}},
            {running, command_timeout, {stopping, Action::terminate, true}},
            {running, idle_timeout, {stopping, Action::terminate, true}},
            {running, stop, {stopping, Action::terminate, true}},
            {stopping, exited, {collecting, Action::collect, true}},
            {stopping, grace_over, {over, Action::none, true}},
        };
        for (State early : {booting, setting_up, starting})
            for (Event event : {guest_failure, death, boot_timeout, stop, stop_now})
                made.push_back({early, event, {over, Action::none, true}});
        for (State live : {running, stopping})
            for (Event event : {guest_failure, death, stop_now})
                made.push_back({live, event, {over, Action::none, true}});
        for (Event event : {finished, guest_failure, death, stop_now, collect_timeout})
            made.push_back({collecting, event, {over, Action::none, false}});
        return made;
    }();
    return rows;
}

Transition expected(State state, Event event) {
    for (const Row& row : table())
        if (row.from == state && row.event == event) return row.to;
    return {state, Action::none, false};
}

TEST(LifeTest, EveryEventInEveryStateDoesWhatTheTableSays) {
    for (State state : kStates)
        for (Event event : kEvents)
            EXPECT_EQ(next(state, event), expected(state, event)) << to_string(state) << " + " << to_string(event);
}

TEST(LifeTest, TheWayOfACommandThatSucceeds) {
    State state = State::booting;
    for (Event event : {Event::hello, Event::ready, Event::started, Event::exited, Event::finished})
        state = next(state, event).next;
    EXPECT_EQ(state, State::over);
}

TEST(LifeTest, NothingLeavesTheEnd) {
    for (Event event : kEvents) EXPECT_EQ(next(State::over, event), (Transition{State::over, Action::none, false}));
}

TEST(LifeTest, AnEndIsReachableFromEveryStateWhateverTheGuestDoes) {
    // Death and a second signal are not the guest's to withhold.
    for (State state : kStates) {
        EXPECT_EQ(next(state, Event::death).next, State::over) << to_string(state);
        EXPECT_EQ(next(state, Event::stop_now).next, State::over) << to_string(state);
    }
}

}  // namespace
}  // namespace vmette::scheduler
