#pragma once
/// The parent's side of `vmette-image-worker pull`, which speaks HTTP to one registry and its mirrors.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/oci/credentials.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/reference.h"
#include "rootfs/oci/settings.h"
#include "rootfs/provider.h"
#include "rootfs/report.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs::oci {

struct PullRequest {
    Reference reference;
    Platform platform;
    Credentials credentials;
    RegistrySettings registry;
};

/// One request at a time, in the words of pull_protocol.h. The worker starts with the first request and ends with this
/// object; its first error is its last word. Borrows request and context. Pinned; one thread.
///
/// Errors: `network` ("REFERENCE: …" with the registry's status), `not_found` (no such repository or tag, or no right
/// to see it), `bad_image`, `io`, `no_space`, `cancelled`.
class RegistryClient {
public:
    RegistryClient(const PullRequest& request, const Context& context) : request_(request), context_(context) {}
    RegistryClient(const RegistryClient&) = delete;
    RegistryClient& operator=(const RegistryClient&) = delete;

    const PullRequest& request() const { return request_; }
    const Context& context() const { return context_; }
    /// The reference, for messages.
    std::string name() const { return request_.reference.text(); }

    /// Asks, without waiting. After an error, or for the first time, of a new worker.
    Result<> begin(const Fields& request);
    /// What has come so far: nothing until the answer is there.
    Result<std::optional<Fields>> answer();
    /// Waits for the answer.
    Result<Fields> wait();
    /// Asks for a document and waits for it.
    Result<Fields> ask(const Fields& request);
    /// The text of the document that was asked for last, which the answer says to have `size` bytes.
    Result<std::string> document(std::uint64_t size) const;
    /// Where the worker tells how far it is with the layers of a request.
    void on_progress(Worker::OnProgress progress) { progress_ = std::move(progress); }

private:
    Result<> start();
    Result<int> write_some();
    Result<Fields> settle(Result<Fields> answer);

    const PullRequest& request_;
    const Context& context_;
    Worker worker_;
    bool running_ = false;
    Fd socket_;
    Fd documents_;
    std::string unsent_;
    Worker::OnProgress progress_;
};

}  // namespace vmette::rootfs::oci
