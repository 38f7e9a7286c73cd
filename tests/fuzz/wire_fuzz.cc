/// Every message of the protocol from arbitrary bytes: nothing is read past the end, and what decodes encodes to the
/// same bytes again.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "guest/protocol.h"

namespace {

using namespace vmette::wire;

template <class T>
void check(std::string_view bytes) {
    T message;
    if (decode(bytes, message) && encode(message) != bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    Header header;
    if (size >= kHeaderSize && decode_header(bytes.data(), header)) {
        char again[kHeaderSize];
        encode_header(again, header);
        if (std::string_view(again, kHeaderSize) != bytes.substr(0, kHeaderSize)) std::abort();
    }
    check<GuestHello>(bytes);
    check<Setup>(bytes);
    check<Ready>(bytes);
    check<Exec>(bytes);
    check<Started>(bytes);
    check<Exited>(bytes);
    check<Failure>(bytes);
    check<Usage>(bytes);
    check<SignalRequest>(bytes);
    check<Resize>(bytes);
    check<Credit>(bytes);
    return 0;
}
