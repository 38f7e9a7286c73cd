#pragma once
/// What of a qcow2 image must be known before QEMU may open it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"

namespace vmette::vm {

/// How much of an image's start check_qcow2() may need: the largest cluster, which the header never exceeds.
constexpr std::size_t kQcow2HeadBytes = std::size_t{2} << 20;

bool is_qcow2(std::span<const std::byte> head);

/// The size the guest sees, when the image stands alone: without backing file, external data file and encryption.
/// `head` is the file's start, at most kQcow2HeadBytes of it; `name` is for the messages. Fails with `bad_input`, also
/// for a header that is cut short, contradicts itself, or asks for features that are not known.
/// Source of the format: qemu.org/docs/master/interop/qcow2.html.
Result<std::uint64_t> check_qcow2(std::span<const std::byte> head, std::string_view name);

}  // namespace vmette::vm
