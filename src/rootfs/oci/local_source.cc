#include "rootfs/oci/local_source.h"

#include <algorithm>
#include <array>

#include "base/source_path.h"
#include "base/text.h"

namespace vmette::rootfs::oci {
namespace {

struct Spelling {
    std::string_view prefix;
    LocalKind kind;
};
constexpr std::array kSpellings{
    Spelling{"oci-layout:", LocalKind::oci_layout}, Spelling{"oci-archive:", LocalKind::oci_archive},
    Spelling{"docker-archive:", LocalKind::docker_archive}, Spelling{"docker-daemon:", LocalKind::docker_daemon}};
constexpr std::size_t kMaxRefName = 255;

const Spelling* spelling_of(std::string_view source) {
    auto found = std::find_if(kSpellings.begin(), kSpellings.end(),
                              [&](const Spelling& one) { return source.starts_with(one.prefix); });
    return found == kSpellings.end() ? nullptr : &*found;
}

/// Wider than the specification's grammar for ref.name, and narrow enough to be shown.
bool is_ref_name(std::string_view text) {
    return !text.empty() && text.size() <= kMaxRefName &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

Result<> read_name(std::string_view source, std::string_view name, LocalSource& out) {
    bool reference =
        out.kind == LocalKind::docker_archive && !is_digest(name) && name.find_first_of(":/@") != name.npos;
    if (reference) {
        VMETTE_TRY(out.image, parse_reference(name));
    } else if (is_ref_name(name)) {
        out.tag = name;
    } else {
        return fail(ErrorCode::bad_input, "{}: after the path's \":\" stands no tag; a \":\" in a path is written %3A",
                    harmless_line(source));
    }
    return {};
}

}  // namespace

bool is_local_source(std::string_view source) { return spelling_of(source) != nullptr; }

Result<LocalSource> parse_local_source(std::string_view source) {
    const Spelling* spelling = spelling_of(source);
    if (spelling == nullptr)
        return fail(ErrorCode::bad_input,
                    "{}: expected oci-layout:DIR, oci-archive:FILE, docker-archive:FILE or docker-daemon:NAME",
                    harmless_line(source));
    LocalSource out{.kind = spelling->kind, .path = {}, .tag = {}, .image = {}};
    std::string_view rest = source.substr(spelling->prefix.size());
    if (out.kind == LocalKind::docker_daemon) {
        if (is_digest(rest)) {
            out.tag = rest;
        } else {
            VMETTE_TRY(out.image, parse_reference(rest));
        }
        return out;
    }
    std::size_t colon = rest.find(':');
    std::string path = percent_decoded(rest.substr(0, colon));
    if (path.empty()) return fail(ErrorCode::bad_input, "{}: the path is missing", harmless_line(source));
    if (path.find('\0') != path.npos)
        return fail(ErrorCode::bad_input, "{}: a path holds no NUL byte", harmless_line(source));
    out.path = std::move(path);
    if (colon != rest.npos) VMETTE_CHECK_OK(read_name(source, rest.substr(colon + 1), out));
    return out;
}

}  // namespace vmette::rootfs::oci
