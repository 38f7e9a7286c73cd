/// Downloads from a server that is good, slow, broken or hostile.

#include "base/digest.h"
#include "base/process.h"
#include "rootfs/fixture.h"
#include "rootfs/http_server.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs {
namespace {

class DownloadTest : public RootfsTest {
protected:
    DownloadTest() {
        for (int i = 0; i < 200'000; ++i) noise += fmt::format("{} ", i * 7919 % 100'003);
        tar = make_tar({tar_file("noise", noise)});
    }
    Context with(PullPolicy pull, bool offline = false) {
        return Context{.layout = layout, .index = index, .pull = pull, .offline = offline};
    }
    /// Short limits, so that a broken server is not waited for long.
    Context impatient() {
        Context context{.layout = layout, .index = index};
        context.limits.stall = std::chrono::seconds(1);
        context.limits.total = std::chrono::seconds(20);
        return context;
    }
    std::size_t parts_left() const {
        std::size_t count = 0;
        std::error_code ignored;
        for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(layout.downloads_dir(), ignored))
            ++count;
        return count;
    }
    /// Answers the n-th request (from 0) as told, the later ones like the last.
    HttpServer::Handler in_turn(std::vector<HttpServer::Handler> handlers) {
        auto next = std::make_shared<std::atomic<std::size_t>>(0);
        return [next, handlers](const HttpRequest& request, HttpConnection& connection) {
            handlers[std::min(next->fetch_add(1), handlers.size() - 1)](request, connection);
        };
    }
    HttpServer::Handler good(std::string etag = "\"v1\"") {
        return [this, etag](const HttpRequest& request, HttpConnection& connection) {
            serve_file(request, connection, tar, etag);
        };
    }
    HttpServer::Handler cut_off_after(std::size_t bytes) {
        return [this, bytes](const HttpRequest&, HttpConnection& connection) {
            connection.answer(200, {{"ETag", "\"v1\""}, {"Content-Length", std::to_string(tar.size())}},
                              std::string_view(tar).substr(0, bytes));
        };
    }
    static HttpServer::Handler status(int code) {
        return [code](const HttpRequest&, HttpConnection& connection) { connection.answer(code, {}, "sorry"); };
    }
    static HttpServer::Handler redirect(std::string to) {
        return [to](const HttpRequest&, HttpConnection& connection) {
            connection.answer(302, {{"Location", to}}, "moved");
        };
    }

    std::string noise;
    std::string tar;
};

TEST_F(DownloadTest, ImageIsFetchedOnceAndThenCached) {
    HttpServer server(good());
    std::string source = "tar+" + server.url("/r.tar");
    auto first = resolve(source);
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_EQ(parts_left(), 0U);
    EXPECT_EQ(index.records.at(0).content_digest, "sha256:" + sha256_hex(tar));
    EXPECT_EQ(index.records.at(0).validator, "etag:\"v1\"");
    for (Context context : {with(PullPolicy::missing), with(PullPolicy::never), with(PullPolicy::always, true)}) {
        auto again = registry.resolve(source, context);
        ASSERT_TRUE(again) << again.error().text();
        EXPECT_EQ(again->digest, first->digest);
    }
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(DownloadTest, NothingIsFetchedIntoAFolderThatOthersCanWrite) {
    HttpServer server(good());
    std::filesystem::create_directories(layout.downloads_dir());
    ASSERT_EQ(::chmod(layout.downloads_dir().c_str(), 0777), 0);
    EXPECT_EQ(error_of("tar+" + server.url("/r.tar")), "io: " + layout.downloads_dir().string() +
                                                           " can be written by other users (mode 0777): chmod go-w " +
                                                           layout.downloads_dir().string());
    EXPECT_EQ(server.requests().size(), 0U);
}

TEST_F(DownloadTest, SquashfsImageIsFetchedAndChecked) {
    std::string image = read_whole(make_squashfs(dir, "hello"));
    HttpServer server([&](const HttpRequest& request, HttpConnection& connection) {
        serve_file(request, connection, request.path == "/good" ? image : "<html>", "\"1\"");
    });
    auto resolved = resolve("squashfs+" + server.url("/good"));
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(read_whole(resolved->path), image);
    EXPECT_EQ(error_of("squashfs+" + server.url("/bad")),
              "bad-image: " + server.url("/bad") + " is not a squashfs image");
    EXPECT_EQ(parts_left(), 0U);
}

TEST_F(DownloadTest, OfflineAndNeverMissWithAWord) {
    std::string source = "tar+http://127.0.0.1:1/r.tar";
    EXPECT_EQ(error_of(source, with(PullPolicy::missing, true)),
              "offline: " + source + " is not in the cache, and --offline rules out a download");
    EXPECT_EQ(error_of(source, with(PullPolicy::never)),
              "offline: " + source + " is not in the cache, and pull = \"never\" rules out a download");
}

TEST_F(DownloadTest, AlwaysAsksWhetherItChanged) {
    HttpServer server([&](const HttpRequest& request, HttpConnection& connection) {
        serve_file(request, connection, tar, "\"" + sha256_hex(tar) + "\"");
    });
    std::string source = "tar+" + server.url("/r.tar");
    auto first = resolve(source);
    ASSERT_TRUE(first) << first.error().text();
    auto same = registry.resolve(source, with(PullPolicy::always));
    ASSERT_TRUE(same) << same.error().text();
    EXPECT_EQ(server.requests().at(1).headers.count("if-none-match"), 1U);
    EXPECT_EQ(index.added, 1);
    server.between_requests([&] { tar = make_tar({tar_file("other", "content")}); });
    auto changed = registry.resolve(source, with(PullPolicy::always));
    ASSERT_TRUE(changed) << changed.error().text();
    EXPECT_NE(changed->digest, first->digest);
}

TEST_F(DownloadTest, BrokenTransferGoesOnWhereItBroke) {
    HttpServer server(in_turn({cut_off_after(500'000), good()}));
    auto resolved = resolve("tar+" + server.url("/r.tar"));
    ASSERT_TRUE(resolved) << resolved.error().text();
    auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[1].headers["range"], "bytes=500000-");
    EXPECT_EQ(requests[1].headers["if-range"], "\"v1\"");
    EXPECT_EQ(index.records.at(0).content_digest, "sha256:" + sha256_hex(tar));
}

TEST_F(DownloadTest, AnotherProcessGoesOnWhereOneWasStopped) {
    HttpServer server(in_turn({[&](const HttpRequest&, HttpConnection& connection) {
                                   connection.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: " +
                                                   std::to_string(tar.size()) + "\r\n\r\n" + tar.substr(0, 300'000));
                                   connection.stall();
                               },
                               good()}));
    std::string source = "tar+" + server.url("/r.tar");
    Context context = with(PullPolicy::missing);
    // Stopped once the first part is on disk.
    context.cancelled = [&] {
        std::error_code ignored;
        for (const auto& file : std::filesystem::directory_iterator(layout.downloads_dir(), ignored))
            if (file.path().extension() == ".part" && file.file_size() >= 300'000) return true;
        return false;
    };
    EXPECT_EQ(error_of(source, context), "cancelled: cancelled");
    auto resolved = resolve(source);
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(server.requests().at(1).headers["range"], "bytes=300000-");
    EXPECT_EQ(index.records.at(0).content_digest, "sha256:" + sha256_hex(tar));
    EXPECT_EQ(parts_left(), 0U);
}

TEST_F(DownloadTest, ChangedFileIsNotJoinedToItsOldStart) {
    HttpServer server(in_turn({cut_off_after(500'000), [&](const HttpRequest& request, HttpConnection& connection) {
                                   serve_file(request, connection, make_tar({tar_file("new", "n")}), "\"v2\"");
                               }}));
    auto resolved = resolve("tar+" + server.url("/r.tar"));
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(index.records.at(0).content_digest, "sha256:" + sha256_hex(make_tar({tar_file("new", "n")})));
    EXPECT_EQ(index.records.at(0).validator, "etag:\"v2\"");
}

TEST_F(DownloadTest, WithoutAStrongVersionAnInterruptedTransferStartsAnew) {
    HttpServer server(in_turn({[&](const HttpRequest&, HttpConnection& connection) {
                                   connection.answer(
                                       200, {{"ETag", "W/\"v1\""}, {"Content-Length", std::to_string(tar.size())}},
                                       tar.substr(0, 1000));
                               },
                               good()}));
    auto resolved = resolve("tar+" + server.url("/r.tar"));
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(server.requests().at(1).headers.count("range"), 0U);
}

TEST_F(DownloadTest, RangeThatWasNotAskedForIsRefused) {
    HttpServer server(in_turn({cut_off_after(1000), [&](const HttpRequest&, HttpConnection& connection) {
                                   connection.answer(206, {{"Content-Range", "bytes 0-9/10"}}, "0123456789");
                               }}));
    std::string url = server.url("/r.tar");
    EXPECT_EQ(error_of("tar+" + url),
              "network: " + url + " answered with another range than the one asked for (bytes 0-9/10)");
}

TEST_F(DownloadTest, TransferThatAlwaysBreaksIsGivenUp) {
    HttpServer server(cut_off_after(1000));
    std::string url = server.url("/r.tar");
    EXPECT_EQ(error_of("tar+" + url), "network: " + url + " was cut off after 1000 bytes, 5 times in a row");
    EXPECT_EQ(server.requests().size(), 5U);
    EXPECT_TRUE(image_files().empty());
}

TEST_F(DownloadTest, ErrorsThatMayPassAreTriedAgainOthersAreNot) {
    HttpServer passing(in_turn({status(503), status(429), good()}));
    EXPECT_TRUE(resolve("tar+" + passing.url("/r.tar")));
    EXPECT_EQ(passing.requests().size(), 3U);
    HttpServer failing(status(500));
    EXPECT_EQ(error_of("tar+" + failing.url("/x")),
              "network: " + failing.url("/x") + " answered 500, 5 times in a row");
    HttpServer missing(status(404));
    EXPECT_EQ(error_of("tar+" + missing.url("/x")), "network: " + missing.url("/x") + " answered 404");
    EXPECT_EQ(missing.requests().size(), 1U);
}

TEST_F(DownloadTest, RetryAfterIsHonoured) {
    auto busy = [](const HttpRequest&, HttpConnection& connection) {
        connection.answer(429, {{"Retry-After", "1"}}, "");
    };
    HttpServer server(in_turn({busy, good()}));
    auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(resolve("tar+" + server.url("/r.tar")));
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST_F(DownloadTest, ServerThatIsNotThereIsANetworkError) {
    std::string error = error_of("tar+http://127.0.0.1:1/r.tar");
    EXPECT_TRUE(error.starts_with("network: http://127.0.0.1:1/r.tar cannot be fetched: Failed to connect")) << error;
}

TEST_F(DownloadTest, RedirectIsFollowedWithinHttpAlone) {
    HttpServer target(good());
    HttpServer server([&](const HttpRequest& request, HttpConnection& connection) {
        std::string to = request.path == "/ok"     ? target.url("/r.tar")
                         : request.path == "/loop" ? "/loop"
                                                   : "file:///etc/passwd";
        redirect(to)(request, connection);
    });
    EXPECT_TRUE(resolve("tar+" + server.url("/ok")));
    EXPECT_EQ(error_of("tar+" + server.url("/loop")),
              "network: " + server.url("/loop") + " redirects more than 10 times");
    std::string error = error_of("tar+" + server.url("/file"));
    EXPECT_TRUE(error.starts_with("network: " + server.url("/file") + " redirects to where http must not lead"))
        << error;
    EXPECT_EQ(error.find("root:"), error.npos);
}

TEST_F(DownloadTest, StalledTransferIsEnded) {
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nstart");
        connection.stall();
    });
    EXPECT_EQ(error_of("tar+" + server.url("/r.tar"), impatient()),
              "network: " + server.url("/r.tar") + " sent nothing for 1.00 s");
}

TEST_F(DownloadTest, EndlessTransferIsEndedByTheCap) {
    HttpServer server([&](const HttpRequest&, HttpConnection& connection) {
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        while (connection.send(noise)) {
        }
    });
    Context context = impatient();
    context.limits.max_download = 4 * kMiB;
    EXPECT_EQ(error_of("tar+" + server.url("/r.tar"), context),
              "network: " + server.url("/r.tar") + " is larger than 4.0 MiB");
    HttpServer honest([&](const HttpRequest&, HttpConnection& connection) {
        connection.answer(200, {{"Content-Length", "99999999999"}}, "");
    });
    EXPECT_EQ(error_of("tar+" + honest.url("/r.tar"), context),
              "network: " + honest.url("/r.tar") + " is larger than 4.0 MiB");
}

TEST_F(DownloadTest, PageThatIsNoArchiveIsSaidAndNotKept) {
    HttpServer server([&](const HttpRequest& request, HttpConnection& connection) {
        serve_file(request, connection, "<html>please log in</html>" + std::string(1000, ' '), "\"1\"");
    });
    EXPECT_EQ(
        error_of("tar+" + server.url("/r.tar")),
        "bad-image: " + server.url("/r.tar") + " is not a tar archive (plain, or compressed with gzip, zstd or xz)");
    EXPECT_EQ(parts_left(), 0U);
}

TEST_F(DownloadTest, ChecksumIsComparedAndNamesWhatIsCached) {
    HttpServer server(good());
    std::string url = server.url("/r.tar"), right = sha256_hex(tar), wrong(64, '1');
    EXPECT_EQ(error_of("tar+" + url + "#sha256=" + wrong),
              "bad-image: " + url + " has the SHA-256 " + right + ", but " + wrong + " was asked for");
    EXPECT_EQ(parts_left(), 0U);
    EXPECT_TRUE(image_files().empty());
    ASSERT_TRUE(resolve("tar+" + url + "#sha256=" + right));
    // The same content from elsewhere needs no download.
    EXPECT_TRUE(registry.resolve("tar+http://127.0.0.1:1/x#sha256=" + right, with(PullPolicy::missing, true)));
}

/// `openssl s_server` with a certificate of its own making.
class TlsDownloadTest : public DownloadTest {
protected:
    void SetUp() override {
        run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", (dir / "key.pem").string(), "-out", (dir / "own.crt").string(), "-days", "2", "-subj",
                     "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"});
        write("r.tar", tar);
        auto out = make_pipe();
        ASSERT_TRUE(out);
        ProcessSpec spec;
        spec.argv = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-key", "key.pem", "-cert", "own.crt", "-WWW"};
        spec.directory = dir;
        spec.descriptors = {{(*out)[1].get(), 1}};
        auto started = spawn(spec);
        ASSERT_TRUE(started) << started.error().text();
        server_ = *std::move(started);
        (*out)[1].reset();
        std::string said;
        char byte = 0;
        while (said.find("ACCEPT ") == said.npos || said.back() != '\n') {
            ASSERT_EQ(::read((*out)[0].get(), &byte, 1), 1) << said;
            said += byte;
        }
        said.pop_back();
        url = "https://127.0.0.1:" + said.substr(said.rfind(':') + 1) + "/r.tar";
        output_ = std::move((*out)[0]);
    }

    std::string url;

private:
    Process server_;
    Fd output_;
};

TEST_F(TlsDownloadTest, UnknownCertificateIsRefused) {
    std::string error = error_of("tar+" + url);
    EXPECT_TRUE(error.starts_with("network: " + url + " has no certificate that is trusted here (")) << error;
}

TEST_F(TlsDownloadTest, CertificateThatTheUserAddedIsTrusted) {
    std::filesystem::create_directories(dir / "certs");
    std::filesystem::copy_file(dir / "own.crt", dir / "certs/own.crt");
    Context context = with(PullPolicy::missing);
    context.ca_certs = dir / "certs";
    auto resolved = registry.resolve("tar+" + url, context);
    EXPECT_TRUE(resolved) << resolved.error().text();
    write("certs/broken.crt", "no certificate");
    EXPECT_EQ(error_of("tar+" + url + "#sha256=" + std::string(64, '2'), context),
              "bad-input: " + url + " cannot be fetched: " + (dir / "certs").string() +
                  " holds no certificates that can be read");
}

}  // namespace
}  // namespace vmette::rootfs
