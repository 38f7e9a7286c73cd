#pragma once
/// A small HTTP/1.1 server on loopback that can misbehave, with TLS or without. One thread a connection, one request a
/// connection.

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "rootfs/tls_files.h"

namespace vmette::rootfs {

struct HttpRequest {
    std::string method;
    std::string path;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;                            ///< of a POST with a length
};

/// The connection of one request; closed when the handler returns.
class HttpConnection {
public:
    /// `tls`: null without it. Both are borrowed.
    HttpConnection(int socket, SSL* tls) : socket_(socket), tls_(tls) {}
    /// False once the peer has gone.
    bool send(std::string_view bytes);
    /// A whole answer.
    void answer(int status, const std::map<std::string, std::string>& headers, std::string_view body);
    /// Sends nothing until the peer gives up, or the server is stopped.
    void stall();
    /// As recv(2).
    ssize_t receive(char* buffer, std::size_t size);

private:
    int socket_;
    SSL* tls_;
};

class HttpServer {
public:
    using Handler = std::function<void(const HttpRequest&, HttpConnection&)>;
    explicit HttpServer(Handler handler, const std::optional<TlsFiles>& tls = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::string url(const std::string& path) const;
    /// Runs `change` while no handler does, and none begins: for what handlers look at. Not from a handler.
    void between_requests(const std::function<void()>& change);
    /// All requests so far.
    std::vector<HttpRequest> requests() const;

private:
    void accept_all();
    static std::optional<HttpRequest> read_request(HttpConnection& connection);
    void serve(Fd socket);

    Handler handler_;
    std::shared_mutex handling_;
    TlsContext tls_;
    Fd listener_;
    int port_ = 0;
    mutable std::mutex mutex_;
    std::vector<HttpRequest> requests_;
    std::vector<int> open_;  ///< sockets being served, for the stop
    bool stopping_ = false;
    std::vector<std::thread> serving_;
    std::thread accepting_;
};

/// Answers like a good file server: ranges, If-Range, If-None-Match, ETag.
void serve_file(const HttpRequest& request, HttpConnection& connection, const std::string& content,
                const std::string& etag);

}  // namespace vmette::rootfs
