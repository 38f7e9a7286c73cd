#pragma once
/// One thread, one epoll: everything that init waits for.

#include <cstdint>

#include "support.h"

namespace vmette::guest {

class Watcher {
public:
    virtual void on_ready() = 0;

protected:
    ~Watcher() = default;
};

/// Calls a member function when its descriptor is ready: `On<Session, &Session::on_timer> on_timer_{*this};`
template <class T, void (T::*kMethod)()>
class On final : public Watcher {
public:
    explicit On(T& owner) : owner_(owner) {}
    void on_ready() override { (owner_.*kMethod)(); }

private:
    T& owner_;
};

/// Watchers are borrowed: remove(fd) comes before the watcher's end. A watcher may remove any other one while it is
/// called, because events are taken from the kernel one at a time.
class Loop {
public:
    Loop();
    /// `events` as of epoll_ctl(2): EPOLLIN, EPOLLOUT, EPOLLET. Returns false when the descriptor cannot be watched.
    bool add(int fd, std::uint32_t events, Watcher& watcher);
    void remove(int fd);
    [[noreturn]] void run();

private:
    Fd epoll_;
};

}  // namespace vmette::guest
