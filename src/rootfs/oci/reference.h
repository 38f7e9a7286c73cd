#pragma once
/// What an image in a registry is called, as `docker pull` reads it.

#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette::rootfs::oci {

/// "python:3.12" is docker.io / library/python / 3.12. Source of the grammar: github.com/distribution/reference.
struct Reference {
    std::string registry;    ///< host, with its port if one was named: "docker.io", "127.0.0.1:5000"
    std::string repository;  ///< "library/python"
    std::string tag;         ///< empty only when a digest was named without one
    std::string digest;      ///< "sha256:" and 64 lower-case digits; empty: none was named
    bool operator==(const Reference&) const = default;

    /// The one spelling of it: "docker.io/library/python:3.12", "…@sha256:…", "…:tag@sha256:…".
    std::string text() const;
    /// What its manifest is asked for by: the digest, else the tag.
    const std::string& wanted() const { return digest.empty() ? tag : digest; }
    /// Where its registry answers: registry-1.docker.io for docker.io (index.docker.io is the same), else `registry`.
    std::string endpoint() const;
    /// True for 127.0.0.0/8, [::1] and localhost, with any port: what plain HTTP may be spoken to unasked.
    bool is_loopback() const;
};

/// Reads "NAME", "NAME:TAG", "NAME@sha256:…", "HOST[:PORT]/NAME…", each also after "oci://". Errors: bad_input, which
/// says what is wrong with it (an upper-case letter in the repository, an empty component, a bad tag, a digest that is
/// none, more than 255 bytes of name); the text is shown harmless and short, and not at all when it holds a password.
/// Stricter than Docker: a digest is SHA-256, a port at most 65535, an IPv6 address one that exists.
Result<Reference> parse_reference(std::string_view text);

/// "HOST" or "HOST:PORT", as may stand before the first "/" of a reference: a name, an IPv4 address, or an IPv6 address
/// in brackets.
bool is_registry_host(std::string_view text);
/// "docker.io" for every name of Docker Hub (index.docker.io, registry-1.docker.io), else the same.
std::string_view canonical_registry(std::string_view host);
/// The rule of Reference::is_loopback, for any "HOST[:PORT]".
bool is_loopback_host(std::string_view host);
/// "sha256:" and 64 lower-case hexadecimal digits.
bool is_digest(std::string_view text);

}  // namespace vmette::rootfs::oci
