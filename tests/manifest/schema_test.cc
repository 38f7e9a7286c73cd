#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "manifest/keys.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

using Json = nlohmann::json;

/// The object schema of a key that may have a short form or stand in a list.
const Json& object_of(const Json& schema) {
    if (schema.contains("properties")) return schema;
    if (schema.contains("items")) return object_of(schema["items"]);
    if (schema.contains("anyOf")) return object_of(schema["anyOf"][1]);
    return object_of(schema.at("additionalProperties"));
}

void expect_keys(const Key& table, const Json& schema) {
    const Json& object = object_of(schema);
    EXPECT_EQ(object["additionalProperties"], false);
    for (const Key& key : table.children) {
        ASSERT_TRUE(object["properties"].contains(key.name)) << key.name;
        const Json& property = object["properties"][std::string(key.name)];
        EXPECT_NE(property.value("description", ""), "") << key.name;
        if (!key.children.empty()) expect_keys(key, property);
    }
}

TEST(SchemaTest, HasEveryKeyOfBothTables) {
    Json schema = Json::parse(json_schema());
    EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    expect_keys(sandbox_root(), schema["$defs"]["sandbox"]);
    expect_keys(batch_root(), schema["$defs"]["batch"]);
}

TEST(SchemaTest, JobsTakeEveryKeyOfASandbox) {
    Json schema = Json::parse(json_schema());
    const Json& job = object_of(schema["$defs"]["batch"]["properties"]["job"]);
    for (const Key& key : sandbox_root().children)
        if (key.name != "schema") {
            EXPECT_TRUE(job["properties"].contains(key.name)) << key.name;
        }
    EXPECT_EQ(job["properties"]["limits"]["$ref"], "#/$defs/sandbox/properties/limits");
}

void expect_refs_resolve(const Json& document, const Json& part) {
    if (part.is_object() && part.contains("$ref")) {
        std::string ref = part["$ref"];
        ASSERT_TRUE(ref.starts_with("#/"));
        EXPECT_TRUE(document.contains(Json::json_pointer(ref.substr(1)))) << ref;
    }
    if (part.is_structured())
        for (const Json& child : part) expect_refs_resolve(document, child);
}

TEST(SchemaTest, ReferencesResolve) {
    Json schema = Json::parse(json_schema());
    expect_refs_resolve(schema, schema);
}

bool matches(const Json& schema, const std::string& text) {
    return std::regex_search(text, std::regex(schema["pattern"].get<std::string>(), std::regex::ECMAScript));
}

TEST(SchemaTest, PatternsTakeWhatTheLoaderTakes) {
    Json properties = Json::parse(json_schema())["$defs"]["sandbox"]["properties"];
    EXPECT_TRUE(matches(properties["name"], "a.b-1"));
    EXPECT_TRUE(matches(properties["name"], "${USER}-x"));
    EXPECT_FALSE(matches(properties["name"], "Not A Name"));
    const Json& tag = object_of(properties["shares"])["properties"]["tag"];
    EXPECT_TRUE(matches(tag, "rootfs2"));
    EXPECT_FALSE(matches(tag, "rootfs"));
    const Json& memory = object_of(properties["limits"])["properties"]["memory"]["anyOf"][1];
    for (std::string good : {"8G", "512M", "64KiB", "1TB", "12"}) EXPECT_TRUE(matches(memory, good)) << good;
    for (std::string bad : {"8g", "1.5G", "G", "12Q"}) EXPECT_FALSE(matches(memory, bad)) << bad;
    EXPECT_TRUE(matches(properties["user"], "1000:1000"));
    EXPECT_TRUE(matches(properties["stdin"], "\n"));
    EXPECT_FALSE(matches(properties["stdin"], ""));
}

TEST(SchemaTest, DefaultsAreThere) {
    Json properties = Json::parse(json_schema())["$defs"]["sandbox"]["properties"];
    EXPECT_EQ(properties["limits"]["properties"]["vcpus"]["default"], 1);
    EXPECT_EQ(properties["limits"]["properties"]["memory"]["default"], "512M");
}

}  // namespace
}  // namespace vmette::manifest
