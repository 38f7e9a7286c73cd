#include "rootfs/oci/reference.h"

#include <gtest/gtest.h>

#include "rootfs/oci/local_source.h"

namespace vmette::rootfs::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'f');

std::string repeated(const std::string& text, int times) {
    std::string out;
    while (times-- > 0) out += text;
    return out;
}

/// The one spelling, or the error.
std::string canonical(const std::string& text) {
    auto reference = parse_reference(text);
    return reference ? reference->text() : reference.error().message;
}

bool is_valid(const std::string& text) { return parse_reference(text).has_value(); }

struct Case {
    std::string text, canonical;
};

TEST(ReferenceTest, SpellingsAreReadAsDockersAre) {
    const Case cases[] = {
        {"python", "docker.io/library/python:latest"},
        {"python:3.12", "docker.io/library/python:3.12"},
        {"oci://python:3.12", "docker.io/library/python:3.12"},
        {"oci://127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"},
        {"docker.io/debian", "docker.io/library/debian:latest"},
        {"docker.io/library/debian", "docker.io/library/debian:latest"},
        {"index.docker.io/docker/docker", "docker.io/docker/docker:latest"},
        {"index.docker.io/debian", "docker.io/library/debian:latest"},
        {"docker/docker", "docker.io/docker/docker:latest"},
        {"docker.io", "docker.io/library/docker.io:latest"},
        {"test_com", "docker.io/library/test_com:latest"},
        {"test.com:tag", "docker.io/library/test.com:tag"},
        {"test.com:5000", "docker.io/library/test.com:5000"},
        {"test.com/repo:tag", "test.com/repo:tag"},
        {"test:5000/repo", "test:5000/repo:latest"},
        {"test:5000/repo:tag", "test:5000/repo:tag"},
        {"test:5000/repo@" + kDigest, "test:5000/repo@" + kDigest},
        {"test:5000/repo:tag@" + kDigest, "test:5000/repo:tag@" + kDigest},
        {"lowercase:Uppercase", "docker.io/library/lowercase:Uppercase"},
        {"sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com/bar/baz/quux:some-long-tag"},
        {"b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io/test.example.com/my-app:test.example.com"},
        {"xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com"},
        {"foo_bar.com:8080", "docker.io/library/foo_bar.com:8080"},
        {"foo/foo_bar.com:8080", "docker.io/foo/foo_bar.com:8080"},
        {"localhost", "docker.io/library/localhost:latest"},
        {"localhost/a", "localhost/a:latest"},
        {"localhost:5000/a:b", "localhost:5000/a:b"},
        {"Registry/a", "Registry/a:latest"},
        {"192.168.1.1", "docker.io/library/192.168.1.1:latest"},
        {"192.168.1.1:5000", "docker.io/library/192.168.1.1:5000"},
        {"192.168.1.1/repo", "192.168.1.1/repo:latest"},
        {"192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo:5050"},
        {"[2001:db8::1]/repo", "[2001:db8::1]/repo:latest"},
        {"[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]/repo:tag"},
        {"[2001:db8::1]:5000/repo:tag@" + kDigest, "[2001:db8::1]:5000/repo:tag@" + kDigest},
        {"[2001:db8::]:5000/repo", "[2001:db8::]:5000/repo:latest"},
        {"[::1]:5000/repo", "[::1]:5000/repo:latest"},
        {"dock__er/docker", "docker.io/dock__er/docker:latest"},
        {"d/this.is_a--b---c", "docker.io/d/this.is_a--b---c:latest"},
        {"d/docker", "docker.io/d/docker:latest"},
        {"docker.io/" + std::string(64, 'a') + "/x", "docker.io/" + std::string(64, 'a') + "/x:latest"},
        {"quay.io/" + std::string(64, 'a'), "quay.io/" + std::string(64, 'a') + ":latest"},
        {"a:" + std::string(128, 'T'), "docker.io/library/a:" + std::string(128, 'T')},
        {"h.io/" + repeated("a/", 127) + "a", "h.io/" + repeated("a/", 127) + "a:latest"},
    };
    for (const Case& one : cases) {
        EXPECT_EQ(canonical(one.text), one.canonical) << one.text;
        EXPECT_EQ(canonical(canonical(one.text)), one.canonical) << one.text;
    }
}

TEST(ReferenceTest, WhatDockerRefusesIsRefused) {
    for (const std::string text : {"",
                                   ":justtag",
                                   "/",
                                   "a/",
                                   "/a",
                                   "@sha256:ffff",
                                   "repo@sha256:ffffffffffffffffffffffffffffffffff",
                                   "validname@invaliddigest:ffff",
                                   "Uppercase:tag",
                                   "test:5000/Uppercase/lowercase:tag",
                                   "aa/asdf$$^/aa",
                                   "[2001:db8::1]",
                                   "[2001:db8::1]:5000",
                                   "[2001:db8::1]:tag",
                                   "[fe80::1%eth0]:5000/repo",
                                   "[fe80::1%@invalidzone]:5000/repo",
                                   "[fc00::1]",
                                   "fc00::1:5000/debian",
                                   "[]/repo",
                                   "[::1/repo",
                                   "[2001:db8:3:4::192.0.2.33]:5000/debian",
                                   "https://github.com/docker/docker",
                                   "docker/Docker",
                                   "-docker",
                                   "-docker/docker",
                                   "-docker.io/docker/docker",
                                   "docker///docker",
                                   "docker.io/docker/Docker",
                                   "docker.io/docker///docker",
                                   "____/____",
                                   "_docker/_docker",
                                   "docker_/docker",
                                   "dock___er/docker",
                                   "dock..er/docker",
                                   "docker./docker",
                                   ".docker/docker",
                                   "docker-/docker",
                                   "---docker",
                                   "a b",
                                   "a:",
                                   "a:-b",
                                   "a:b:c",
                                   "test:0/repo",
                                   "test:65536/repo",
                                   "test:/repo",
                                   "test:5x/repo",
                                   "h..io/repo",
                                   "h_h.io/repo",
                                   "oci://",
                                   "a\nb",
                                   "../a",
                                   "./a",
                                   "a/../b"})
        EXPECT_FALSE(is_valid(text)) << text << " is taken for " << canonical(text);
    EXPECT_FALSE(is_valid(std::string("a\0b", 3)));
    EXPECT_FALSE(is_valid(std::string(64, 'a')));
    EXPECT_FALSE(is_valid("a:" + std::string(129, 't')));
    EXPECT_FALSE(is_valid("h.io/" + repeated("a/", 128) + "a"));
    EXPECT_FALSE(is_valid(std::string(1 << 20, 'a')));
    EXPECT_FALSE(is_valid("xn--7o8h.com/myimage:xn--7o8h.com@sha512:" + std::string(128, 'f')));
}

TEST(ReferenceTest, MessagesSayWhatIsWrong) {
    const Case cases[] = {
        {"", "an image's name is empty"},
        {"a/Docker", "the image \"a/Docker\": a repository's name has no upper-case letters"},
        {"a//b", "the image \"a//b\": a part of its name is empty"},
        {"h.io/", "the image \"h.io/\": it names no repository"},
        {"a/b_", "the image \"a/b_\": \"b_\" is no name: a-z and 0-9, between them single . or _, __, or -"},
        {"a:.b",
         "the image \"a:.b\": \".b\" is no tag: at most 128 letters, digits, _, . and -, not beginning with . or -"},
        {"a@sha256:12",
         "the image \"a@sha256:12\": \"sha256:12\" is no digest: sha256: and 64 lower-case hexadecimal digits"},
        {"h.io:x/a", "the image \"h.io:x/a\": \"h.io:x\" is no registry: a host, with or without a port"},
        {"a\x1b[2j",
         "the image \"a\\x1b[2j\": \"a\\x1b[2j\" is no name: a-z and 0-9, between them single . or _, __, "
         "or -"},
        {std::string(64, '0'), "the image \"" + std::string(64, '0') + "\": 64 hexadecimal digits are no name"},
        {repeated("a/", 128) + "a", "the image \"" + repeated("a/", 50) + "…\": its name has more than 255 bytes"},
    };
    for (const Case& one : cases) EXPECT_EQ(canonical(one.text), one.canonical) << one.text;
}

TEST(ReferenceTest, PasswordsAreNotRepeated) {
    for (const std::string text : {"me:secret@host/x", "me:secret@host", "me:secret@host:5000", "oci://me:secret@h/x",
                                   "https://me:secret@h/x:y@sha256:1/2"})
        EXPECT_EQ(canonical(text),
                  "an image's name: after @ stands a digest (sha256:…); a user name or a password has "
                  "no place in it")
            << text;
}

TEST(ReferenceTest, EndpointAndWhatIsAskedFor) {
    auto hub = parse_reference("python");
    EXPECT_EQ(hub->endpoint(), "registry-1.docker.io");
    EXPECT_EQ(hub->wanted(), "latest");
    auto own = parse_reference("127.0.0.1:5000/a:b@" + kDigest);
    EXPECT_EQ(own->endpoint(), "127.0.0.1:5000");
    EXPECT_EQ(own->wanted(), kDigest);
}

TEST(ReferenceTest, OnlyLoopbackIsLoopback) {
    for (const char* host :
         {"localhost", "localhost:5000", "127.0.0.1", "127.9.8.7:1", "[::1]", "[::1]:5000", "[0:0:0:0:0:0:0:1]:5000"})
        EXPECT_TRUE(is_loopback_host(host)) << host;
    for (const char* host : {"", "127.evil.example", "127.0.0.1.evil.example", "128.0.0.1", "localhost.example",
                             "[::2]", "::1", "127.1", "0127.0.0.1", "[::1", "127.0.0.1@evil", "localhost:1@evil"})
        EXPECT_FALSE(is_loopback_host(host)) << host;
    EXPECT_TRUE(parse_reference("127.0.0.1:5000/a")->is_loopback());
    EXPECT_FALSE(parse_reference("127.0.0.1")->is_loopback());
}

TEST(LocalSourceTest, PathsEndAtTheFirstColon) {
    auto layout = parse_local_source("oci-layout:/srv/img:docker.io/library/a:1@x");
    ASSERT_TRUE(layout);
    EXPECT_EQ(*layout, (LocalSource{LocalKind::oci_layout, "/srv/img", "docker.io/library/a:1@x", {}}));
    EXPECT_EQ(parse_local_source("oci-layout:dir")->path, "dir");
    EXPECT_EQ(parse_local_source("oci-layout:dir")->tag, "");
    EXPECT_EQ(parse_local_source("oci-layout:/a%3Ab%253:tag")->path, "/a:b%3");
    EXPECT_EQ(parse_local_source("docker-archive:100%.tar")->path, "100%.tar");
}

TEST(LocalSourceTest, AnArchivesImageIsATagOrAName) {
    EXPECT_EQ(parse_local_source("docker-archive:x.tar:1.36")->tag, "1.36");
    auto named = parse_local_source("docker-archive:x.tar:busybox:1.36");
    EXPECT_EQ(named->image->text(), "docker.io/library/busybox:1.36");
    EXPECT_EQ(named->tag, "");
    EXPECT_EQ(parse_local_source("docker-archive:x.tar:quay.io/a/b")->image->text(), "quay.io/a/b:latest");
    auto daemon = parse_local_source("docker-daemon:a:b");
    EXPECT_EQ(daemon->image->text(), "docker.io/library/a:b");
    EXPECT_EQ(daemon->path, "");
}

TEST(LocalSourceTest, WhatIsNoneIsRefused) {
    auto error = [](const char* text) { return parse_local_source(text).error().message; };
    EXPECT_EQ(error("dir:x"), "dir:x: expected oci-layout:DIR, oci-archive:FILE, docker-archive:FILE or docker-daemon:NAME");
    EXPECT_EQ(error("oci-layout:"), "oci-layout:: the path is missing");
    EXPECT_EQ(error("docker-archive::a"), "docker-archive::a: the path is missing");
    EXPECT_EQ(error("oci-layout:a%00b"), "oci-layout:a%00b: a path holds no NUL byte");
    EXPECT_EQ(error("oci-layout:a:"),
              "oci-layout:a:: after the path's \":\" stands no tag; a \":\" in a path is written %3A");
    EXPECT_EQ(error("docker-daemon:"), "an image's name is empty");
    EXPECT_EQ(error("docker-archive:x:A/B"), "the image \"A/B\": a repository's name has no upper-case letters");
    EXPECT_TRUE(is_local_source("oci-layout:x"));
    EXPECT_FALSE(is_local_source("oci:x"));
}

}  // namespace
}  // namespace vmette::rootfs::oci
