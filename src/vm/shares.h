#pragma once
/// Folders of the host in the guest. Read-only is enforced here, on the host's side, whatever the guest does.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/units.h"
#include "vm/last_words.h"

namespace vmette::vm {

enum class ShareTransport { virtiofs, plan9 };
std::string_view to_string(ShareTransport transport);

/// How this host serves shares, and why: virtio-fs where virtiofsd is installed and may make its namespaces, else 9p.
struct ShareChoice {
    ShareTransport transport = ShareTransport::plan9;
    std::string detail;  ///< one line for people: "virtiofsd at …", "9p: virtiofsd is not installed (…)"
};

/// Asks a virtiofsd of its own for the vhost-user features, without a guest, and waits at most `limit`. Some
/// 10–20 ms; the answer holds as long as the installation, so remember it where it matters.
ShareChoice choose_share_transport(Duration limit);

/// VMETTE_VIRTIOFSD, else the distributions' places. `not_found` names the package.
Result<std::filesystem::path> find_virtiofsd();

/// virtiofsd's whole command line.
std::vector<std::string> virtiofsd_arguments(const std::string& program);

/// Opens a shared folder as a place (O_PATH), following no symbolic link anywhere in `folder`: links were resolved when
/// the manifest was checked, so one that stands there now was put there since. Errors name the folder: not_found,
/// bad_input (not a folder, a link in its path), io. For 9p call this as well, before QEMU is given the path.
Result<Fd> open_shared_folder(const std::filesystem::path& folder);

/// One virtiofsd that serves one folder to one guest. Destroying it kills virtiofsd. Move-only.
class ShareServer {
public:
    /// Starts virtiofsd in a mount namespace of its own (and a user namespace, when not root), where the folder is
    /// bound nosuid, nodev and, with `read_only`, read-only with everything mounted below it. Does not wait for it:
    /// QEMU's first request does. A few milliseconds. Errors as of open_shared_folder, and not_found, vm.
    static Result<ShareServer> start(const std::filesystem::path& folder, bool read_only);

    /// QEMU's end of the vhost-user connection (-chardev socket,fd=N). Give it to QEMU, then drop ours with
    /// close_socket(), so that virtiofsd sees QEMU's death.
    int socket() const { return socket_.get(); }
    void close_socket() { socket_.reset(); }
    /// Watch its pidfd: when virtiofsd dies the guest's tasks hang in the kernel, and the run has to end.
    Process& process() { return process_; }
    const Process& process() const { return process_; }
    /// What it said last on stderr, for the message about its death.
    std::string last_words() { return words_.take(); }

private:
    ShareServer(Process process, Fd socket, LastWords words)
        : words_(std::move(words)), socket_(std::move(socket)), process_(std::move(process)) {}
    LastWords words_;
    Fd socket_;
    Process process_;
};

}  // namespace vmette::vm
