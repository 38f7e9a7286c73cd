/// The spellings of root filesystems: those of images on this machine, and of files and URLs. What is taken holds what
/// the headers promise; what is refused is refused in words fit for a terminal.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/source.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

void require(bool holds) {
    if (!holds) std::abort();
}

void check_message(const Error& error) {
    require(error.code == ErrorCode::bad_input && !error.message.empty() && error.message.size() < 3000);
    require(harmless_line(error.message, error.message.size()) == error.message);
}

void check_local(std::string_view text) {
    auto source = oci::parse_local_source(text);
    if (!source) return check_message(source.error());
    require(oci::is_local_source(text));
    bool daemon = source->kind == oci::LocalKind::docker_daemon;
    require(daemon == source->path.empty() && source->path.native().find('\0') == std::string::npos);
    require(!(source->image && !source->tag.empty()) && (!daemon || source->image || oci::is_digest(source->tag)));
    for (char c : source->tag) require(c > ' ' && c < 0x7F);
}

/// `kind` stands before it, as a provider that takes a source has seen.
void check_url(std::string_view text, std::string_view kind) {
    if (!text.starts_with(kind)) return;
    auto source = parse_url_source(std::string(text), kind.substr(0, kind.size() - 1));
    if (!source) return check_message(source.error());
    require(source->is_file() ? source->file.is_absolute() : source->url.starts_with("http"));
    require(source->file.native().find('\0') == std::string::npos);
    require(source->sha256.empty() || (source->sha256.size() == 64 && oci::is_digest("sha256:" + source->sha256)));
    std::string key = source->key();
    require(!key.empty() && key.size() < 255 && key.find('/') == key.npos && key[0] != '.');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_local(text);
    check_url(text, "tar+");
    check_url(text, "squashfs+");
    return 0;
}
