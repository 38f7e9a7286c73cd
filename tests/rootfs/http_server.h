#pragma once
/// A small HTTP/1.1 server on loopback that can misbehave. One thread a connection, one request a connection.

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace vmette::rootfs {

struct HttpRequest {
    std::string method;
    std::string path;
    std::map<std::string, std::string> headers;  ///< names in lower case
};

/// The connection of one request; closed when the handler returns.
class HttpConnection {
public:
    explicit HttpConnection(int socket) : socket_(socket) {}
    /// False once the peer has gone.
    bool send(std::string_view bytes);
    /// A whole answer.
    void answer(int status, const std::map<std::string, std::string>& headers, std::string_view body);
    /// Sends nothing until the peer gives up, or the server is stopped.
    void stall();

private:
    int socket_;
};

class HttpServer {
public:
    using Handler = std::function<void(const HttpRequest&, HttpConnection&)>;
    explicit HttpServer(Handler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::string url(const std::string& path) const;
    /// All requests so far.
    std::vector<HttpRequest> requests() const;

private:
    void accept_all();
    void serve(Fd socket);

    Handler handler_;
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
