#include "rootfs/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace vmette::rootfs {
namespace {

HttpRequest parse_request(const std::string& text) {
    HttpRequest request;
    std::size_t line_end = text.find("\r\n");
    std::string first = text.substr(0, line_end);
    request.method = first.substr(0, first.find(' '));
    std::size_t path = first.find(' ') + 1;
    request.path = first.substr(path, first.find(' ', path) - path);
    while (line_end + 2 < text.size()) {
        std::size_t start = line_end + 2;
        line_end = text.find("\r\n", start);
        std::string line = text.substr(start, line_end - start);
        std::size_t colon = line.find(": ");
        if (colon == line.npos) break;
        std::string name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
        request.headers[name] = line.substr(colon + 2);
    }
    return request;
}

}  // namespace

bool HttpConnection::send(std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = tls_ != nullptr ? ::SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                                    : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

void HttpConnection::answer(int status, const std::map<std::string, std::string>& headers, std::string_view body) {
    std::string head = fmt::format("HTTP/1.1 {} Status\r\nConnection: close\r\n", status);
    if (!headers.contains("Content-Length") && status != 304)
        head += fmt::format("Content-Length: {}\r\n", body.size());
    for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
    send(head + "\r\n");
    send(body);
}

ssize_t HttpConnection::receive(char* buffer, std::size_t size) {
    return tls_ != nullptr ? ::SSL_read(tls_, buffer, static_cast<int>(size)) : ::recv(socket_, buffer, size, 0);
}

void HttpConnection::stall() {
    char byte = 0;
    while (::recv(socket_, &byte, 1, 0) > 0) {
    }
}

HttpServer::HttpServer(Handler handler, const std::optional<TlsFiles>& tls) : handler_(std::move(handler)) {
    if (tls) tls_ = make_tls_server(*tls);
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 64) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        std::abort();
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
}

HttpServer::~HttpServer() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        for (int socket : open_) ::shutdown(socket, SHUT_RDWR);
    }
    ::shutdown(listener_.get(), SHUT_RDWR);
    accepting_.join();
    for (auto& thread : serving_) thread.join();
}

std::string HttpServer::url(const std::string& path) const {
    return fmt::format("{}://127.0.0.1:{}{}", tls_ ? "https" : "http", port_, path);
}

void HttpServer::between_requests(const std::function<void()>& change) {
    std::lock_guard lock(handling_);
    change();
}

std::vector<HttpRequest> HttpServer::requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
}

void HttpServer::accept_all() {
    // OpenSSL writes without MSG_NOSIGNAL. The threads of the connections inherit this.
    sigset_t pipe_signal;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
    while (true) {
        Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket) return;
        std::lock_guard lock(mutex_);
        if (stopping_) return;
        open_.push_back(socket.get());
        serving_.emplace_back([this, owned = std::move(socket)]() mutable { serve(std::move(owned)); });
    }
}

/// The head of a request and as much of its body as its length says; nothing when the peer left before.
std::optional<HttpRequest> HttpServer::read_request(HttpConnection& connection) {
    std::string text;
    std::optional<HttpRequest> request;
    std::size_t whole = 0;
    char buffer[4096];
    while (!request || text.size() < whole) {
        ssize_t n = connection.receive(buffer, sizeof buffer);
        if (n <= 0) return std::nullopt;
        text.append(buffer, static_cast<std::size_t>(n));
        // A greeting in TLS to a server without: no request will follow.
        if (text[0] == 0x16) return std::nullopt;
        std::size_t head = text.find("\r\n\r\n");
        if (request || head == text.npos) continue;
        request = parse_request(text);
        whole = head + 4 + std::strtoull(request->headers["content-length"].c_str(), nullptr, 10);
    }
    request->body = text.substr(text.find("\r\n\r\n") + 4);
    return request;
}

void HttpServer::serve(Fd socket) {
    TlsConnection tls(tls_ ? ::SSL_new(tls_.get()) : nullptr);
    bool greeted = !tls || (::SSL_set_fd(tls.get(), socket.get()) == 1 && ::SSL_accept(tls.get()) == 1);
    HttpConnection connection(socket.get(), tls.get());
    if (auto request = greeted ? read_request(connection) : std::nullopt) {
        {
            std::lock_guard lock(mutex_);
            requests_.push_back(*request);
        }
        std::shared_lock handling(handling_);
        handler_(*request, connection);
        if (tls) ::SSL_shutdown(tls.get());
    }
    std::lock_guard lock(mutex_);
    std::erase(open_, socket.get());
    // What is sent must arrive although the peer's request was not read to its end.
    ::shutdown(socket.get(), SHUT_WR);
}

void serve_file(const HttpRequest& request, HttpConnection& connection, const std::string& content,
                const std::string& etag) {
    auto header = [&](const std::string& name) {
        auto found = request.headers.find(name);
        return found != request.headers.end() ? found->second : std::string();
    };
    std::map<std::string, std::string> headers{{"ETag", etag}};
    if (!etag.empty() && header("if-none-match") == etag) return connection.answer(304, headers, "");
    std::string range = header("range");
    if (range.starts_with("bytes=") && header("if-range") == etag) {
        std::size_t start = std::strtoull(range.c_str() + 6, nullptr, 10);
        if (start >= content.size()) {
            headers["Content-Range"] = fmt::format("bytes */{}", content.size());
            return connection.answer(416, headers, "");
        }
        headers["Content-Range"] = fmt::format("bytes {}-{}/{}", start, content.size() - 1, content.size());
        return connection.answer(206, headers, std::string_view(content).substr(start));
    }
    connection.answer(200, headers, content);
}

}  // namespace vmette::rootfs
