#pragma once
/// From a rootfs source ("./rootfs", "tar+https://…") to something a VM can mount read-only.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/layout.h"
#include "rootfs/oci/settings.h"

namespace vmette::rootfs {

/// What an image says of how its command runs (an OCI image's config); all may be empty.
struct ImageConfig {
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::pair<std::string, std::string>> env;
    std::string user;
    std::string workdir;
    bool operator==(const ImageConfig&) const = default;
};

enum class RootKind { block_image, directory };

/// A resolved source.
struct Resolved {
    RootKind kind = RootKind::block_image;
    std::filesystem::path path;  ///< the image file, or the folder that is shared
    /// The open image, read-only, with a shared lock that keeps `prune` away while this object lives. Block images
    /// only.
    Fd image;
    std::string digest;       ///< "sha256:…" of the image file; empty for a directory, which has no fixed content
    std::string provider;     ///< the name of the provider that took the source
    std::string source;       ///< as it was asked for
    std::uint64_t bytes = 0;  ///< of the image file; 0 for a directory
    ImageConfig config;
};

/// What is going on, for a person who waits. Called from the thread that resolves, at most some ten times a second.
struct Progress {
    std::string_view step;    ///< "download", "unpack", "verify"
    std::uint64_t done = 0;   ///< bytes
    std::uint64_t total = 0;  ///< bytes; 0: not known
    std::string_view item;    ///< of several at a time: which ("sha256:…" of a layer); empty: there is only one
};

/// What one image in the cache is; kept by the store, written by the caller.
struct ImageRecord {
    std::string digest;  ///< "sha256:…" of the image file
    std::string source;
    std::string provider;
    std::string content_digest;  ///< of what it was made from (the tar, the download), "sha256:…"
    std::string
        validator;  ///< what tells whether the source is unchanged: ETag or Last-Modified, size and mtime of a file
    std::uint64_t bytes = 0;
    std::string config;     ///< of an image of layers, as oci::encode_description() writes it
    WallTime checked_at{};  ///< when the source was last found to name it; set by the index
    bool operator==(const ImageRecord&) const = default;
};

/// The cache's memory: source → image. Implemented by the scheduler over the store; a map in tests.
/// Called only from the thread that resolves.
class ImageIndex {
public:
    virtual ~ImageIndex() = default;
    /// The newest image made from exactly this source.
    virtual std::optional<ImageRecord> find_source(const std::string& source) = 0;
    /// An image made from this content, whatever it was called.
    virtual std::optional<ImageRecord> find_content(const std::string& content_digest) = 0;
    virtual Result<> add(const ImageRecord& record) = 0;
    /// Forgets what turned out to be gone or damaged.
    virtual Result<> remove(const std::string& digest) = 0;
};

enum class PullPolicy { missing, always, never };

struct Limits {
    std::uint64_t max_download = 16ULL << 30;  ///< bytes of one download
    std::uint64_t max_unpacked = 64ULL << 30;  ///< bytes of file contents in one tar
    std::uint64_t max_entries = 4'000'000;     ///< entries in one tar
    std::chrono::seconds stall{60};            ///< a transfer that moves nothing for so long fails
    std::chrono::seconds total{3600};          ///< a transfer may take no longer
};

/// All that a provider may use. Borrowed: outlives the call.
struct Context {
    const Layout& layout;
    ImageIndex& index;
    PullPolicy pull = PullPolicy::missing;
    bool offline = false;
    Limits limits;
    const oci::ImageSettings& settings = oci::default_image_settings();  ///< the user's; `limits` already follows them
    WallTime now{};                                                      ///< what the age of a tag is told by
    std::filesystem::path ca_certs;                 ///< extra certificates for HTTPS; empty: the system's alone
    std::function<void(const Progress&)> progress;  ///< may be empty
    std::function<void(std::string_view)> notice;   ///< one line for who waits: what is tried again. May be empty
    std::function<bool()> cancelled;                ///< polled; true ends the work with `cancelled`. May be empty
};

/// One way to make a root filesystem. Stateless; may be called from several threads.
class Provider {
public:
    virtual ~Provider() = default;
    /// "dir", "squashfs", "tar", "oci", …
    virtual std::string_view name() const = 0;
    /// The spellings it takes, for people: "tar+file:///path, tar+https://…".
    virtual std::string_view spellings() const = 0;
    /// Whether this source is meant for it, by its spelling (a bare name may look at the disk).
    virtual bool matches(const std::string& source) const = 0;
    /// What resolve() would refuse at once: a wrong spelling, a local file or folder that is not there. Never slow;
    /// does not look at the network.
    virtual Result<> check(const std::string& /*source*/) const { return {}; }
    /// Errors: bad_input (spelling), offline, network, io, no_space, bad_image, cancelled. Nothing half-made stays.
    virtual Result<Resolved> resolve(const std::string& source, const Context& context) const = 0;
};

/// Providers in order; the first that matches takes a source.
class Registry {
public:
    /// dir, squashfs, tar, and last oci, which matches everything.
    static Registry with_builtin();
    /// A caller's own provider comes before all that are there.
    void register_provider(std::unique_ptr<Provider> provider);
    const std::vector<std::unique_ptr<Provider>>& providers() const { return providers_; }
    /// The provider that takes it; never null with the built-in ones.
    const Provider* find(const std::string& source) const;
    /// Whether a provider takes it, and what that one's check() says.
    Result<> check(const std::string& source) const;
    Result<Resolved> resolve(const std::string& source, const Context& context) const;

private:
    std::vector<std::unique_ptr<Provider>> providers_;
};

}  // namespace vmette::rootfs
