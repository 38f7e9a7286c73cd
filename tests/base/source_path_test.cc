#include "base/source_path.h"

#include <gtest/gtest.h>

namespace vmette {
namespace {

std::string path_in(std::string_view source) {
    auto found = find_source_path(source);
    return found ? found->path : "none";
}

TEST(SourcePathTest, IsFoundWhereASourceHasOne) {
    EXPECT_EQ(path_in("tar+file:///a%20b.tar#sha256=00"), "/a b.tar");
    EXPECT_EQ(path_in("file://x"), "x");
    EXPECT_EQ(path_in("oci-layout:x%3Ay:v1:2"), "x:y");
    EXPECT_EQ(path_in("docker-archive:a.tar"), "a.tar");
    EXPECT_EQ(path_in("oci-archive:"), "");
    for (const char* other : {"", "python:3.12", "docker-daemon:x", "tar+https://a/b?file://x", "oci://a/b", "./x"})
        EXPECT_EQ(path_in(other), "none") << other;
}

TEST(SourcePathTest, AnotherPathKeepsItsCharacters) {
    for (const char* source : {"tar+file://x#sha256=00", "oci-layout:x:v1", "docker-archive:x"})
        for (const char* path : {"/plain", "/a:b#c", "/100%", "/a%41", "/new\nline", "/"}) {
            auto found = find_source_path(source);
            ASSERT_TRUE(found);
            std::string other = with_path(source, *found, path);
            EXPECT_EQ(path_in(other), path) << other;
            EXPECT_EQ(other.substr(0, found->start), std::string(source).substr(0, found->start));
            EXPECT_TRUE(other.ends_with(std::string(source).substr(found->start + found->size))) << other;
        }
}

}  // namespace
}  // namespace vmette
