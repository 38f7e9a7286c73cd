#pragma once
/// From what a manifest says to what a machine is made of: plain values in, plain values out, but for reading secrets
/// and certificates.

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/layout.h"
#include "manifest/sandbox.h"
#include "rootfs/provider.h"
#include "scheduler/live/frames.h"
#include "scheduler/run.h"
#include "vm/session.h"
#include "vm/spec.h"

namespace vmette::scheduler {

/// Whether its machine gets a device for vsock, where the host has vhost-vsock: not when a snapshot may start it, which
/// saves more time than a second way to the host is worth, and not in the place of another device.
bool wants_vsock(const manifest::Sandbox& sandbox, const vm::VmSpec& spec);

/// The machine of a sandbox whose root is known. Errors: unsupported (too many devices).
Result<vm::VmSpec> machine_spec(const manifest::Sandbox& sandbox, const rootfs::Resolved& root, const Assets& assets,
                                std::string_view run_id);

/// Kernel and initramfs: the manifest's own where it names them (with an error that names a missing one), else `found`.
Result<Assets> chosen_assets(const manifest::Vm& vm, const Result<Assets>& found);

using Environment = std::function<std::optional<std::string>(const std::string&)>;

/// What the guest is told beside the machine: certificates are read here.
Result<vm::GuestSetup> guest_setup(const manifest::Sandbox& sandbox, const Layout& layout,
                                   const Environment& environment);

/// The command as the guest runs it: the image's words where the manifest has none, environment in order of precedence
/// (PATH of the usual folders < image < manifest < secrets < VMETTE_*).
/// Errors: bad_input (nothing to run; a secret's variable is not set).
Result<vm::GuestCommand> guest_command(const manifest::Sandbox& sandbox, const rootfs::ImageConfig& image,
                                       std::string_view run_id, std::string_view job, const Environment& environment);

/// Tells it under which number its programs call the host; 0: they cannot.
void name_call_port(vm::GuestCommand& command, std::uint32_t port);

/// A command beside the run's own: with its environment, folder and user where the request has none.
vm::GuestCommand side_command(const live::Request& request, const vm::GuestCommand& own);

}  // namespace vmette::scheduler
