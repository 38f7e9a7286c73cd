#pragma once
/// Completion handlers that may outlive what they work on.

#include <memory>
#include <utility>

namespace vmette::vm {

/// Wraps a completion handler so that it runs only while `owner` lives, and keeps it alive meanwhile: whatever the
/// handler calls may let go of the owner.
template <class Handler>
auto guarded(std::weak_ptr<void> owner, Handler handler) {
    return [owner = std::move(owner), handler = std::move(handler)](auto&&... results) mutable {
        if (auto alive = owner.lock()) handler(std::forward<decltype(results)>(results)...);
    };
}

}  // namespace vmette::vm
