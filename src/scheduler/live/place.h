#pragma once
/// Where the sockets of live runs are: `runs/<id>/` in the runtime folder, 0600 in folders of mode 0700. They are
/// reached through their folder's descriptor, so that neither a long path nor a folder that is swapped matters.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/layout.h"

namespace vmette::scheduler::live {

/// What a run listens on for vmette's own commands, and for readers of what its guest's programs send (calls/desk.h).
constexpr std::string_view kControlSocket = "control", kCallSocket = "vsock";

/// A socket of a run, listening; gone from the disk with this object. Errors: io (the runtime folder is not the
/// caller's own, or others may write it).
class Place {
public:
    static Result<Place> make(const Layout& layout, std::string_view run_id, std::string_view name = kControlSocket);
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();

    /// Non-blocking.
    int listener() const { return listener_.get(); }

private:
    Place(std::filesystem::path socket, Fd listener) : socket_(std::move(socket)), listener_(std::move(listener)) {}
    std::filesystem::path socket_;  ///< empty: moved away
    Fd listener_;
};

/// Connects to a run's process (blocking socket). Errors: not_found (no socket, or nobody behind it), io (the folder or
/// the process is another user's).
Result<Fd> connect_to(const Layout& layout, std::string_view run_id);

/// True when the run has a socket; not whether somebody listens.
bool has_socket(const Layout& layout, std::string_view run_id);

/// True when the process at the other end runs as this user (or root).
bool is_own_peer(int socket);

}  // namespace vmette::scheduler::live
