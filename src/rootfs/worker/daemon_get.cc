#include "rootfs/worker/daemon_get.h"

#include "base/fd.h"
#include "base/units.h"
#include "rootfs/worker/http.h"
#include "rootfs/worker/registry_json.h"

namespace vmette::rootfs {

Result<DaemonAnswer> ask_daemon(const DaemonRequest& request, int output,
                                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    VMETTE_TRY(auto client, HttpClient::create({.stall = request.stall, .unix_socket = request.socket}));
    std::uint64_t done = 0;
    auto take = [&](const HttpAnswer&, std::string_view piece) -> Result<> {
        if (piece.size() > request.max_bytes - done)
            return fail(ErrorCode::bad_image, "it sends more than {}", human_size(request.max_bytes));
        done += piece.size();
        progress(done, 0);
        return write_all(output, piece);
    };
    HttpCall call{.url = "http://localhost" + request.path,
                  .headers = {},
                  .form = {},
                  .deadline = std::chrono::steady_clock::now() + request.total};
    HttpTransfer transfer(client->settings(), std::move(call), take);
    client->start(transfer);
    client->finish(transfer);
    if (transfer.fault()) return Failure(transfer.fault()->error);
    const HttpAnswer& answer = transfer.answer();
    if (answer.status == 200) return DaemonAnswer{answer.status, {}};
    return DaemonAnswer{answer.status, message_in(answer.body)};
}

}  // namespace vmette::rootfs
