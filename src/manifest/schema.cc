#include <nlohmann/json.hpp>

#include "manifest/expected.h"
#include "manifest/keys.h"
#include "manifest/load.h"

namespace vmette::manifest {
namespace {

using Json = nlohmann::ordered_json;

/// A string may also hold ${NAME} or, in a batch, {{name}}: what these stand for is not the schema's to judge.
std::string or_template(std::string_view pattern) { return fmt::format("{}|[$]|[{{][{{]", pattern); }

Json string_schema(std::string_view pattern) { return {{"type", "string"}, {"pattern", or_template(pattern)}}; }

Json any_of(Json a, Json b) { return {{"anyOf", Json::array({std::move(a), std::move(b)})}}; }

/// A number or boolean may be what a template of a batch makes.
Json or_template(Json schema) { return any_of(std::move(schema), {{"type", "string"}, {"pattern", "[{][{]"}}); }

Json quantity(std::string_view pattern) {
    return any_of({{"type", "integer"}, {"minimum", 0}}, string_schema(pattern));
}

Json integer(const Key& key) {
    Json out{{"type", "integer"}, {"minimum", key.min}};
    if (key.max != std::numeric_limits<std::int64_t>::max()) out["maximum"] = key.max;
    return out;
}

Json text(const Key& key) {
    if (key.rule == nullptr) return {{"type", "string"}};
    return string_schema(key.rule->pattern);
}

Json list_of(Json items, const Key& key) {
    return {{"type", "array"}, {"maxItems", key.max_items}, {"items", std::move(items)}};
}

Json map_of(Json values, const Key& key) {
    return {{"type", "object"},
            {"maxProperties", key.max_items},
            {"propertyNames", {{"pattern", key.rule->pattern}}},
            {"additionalProperties", std::move(values)}};
}

Json key_schema(const Key& key);

Json table_schema(const Key& key) {
    Json properties = Json::object();
    for (const Key& child : key.children) properties[std::string(child.name)] = key_schema(child);
    return {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
}

Json bare_schema(const Key& key) {
    switch (key.kind) {
        case Kind::boolean:
            return or_template(Json{{"type", "boolean"}});
        case Kind::integer:
            return key.min == key.max ? integer(key) : or_template(integer(key));
        case Kind::text:
            return text(key);
        case Kind::host_path:
            return {{"type", "string"}, {"minLength", 1}};
        case Kind::size:
            return quantity(key.or_percent ? "^[0-9]+(%|[KMGT](i?B)?)?$" : "^[0-9]+([KMGT](i?B)?)?$");
        case Kind::duration:
            return quantity("^[0-9]+(ms|s|m|h)?$");
        case Kind::choice:
            return any_of({{"enum", key.choices}}, string_schema("[$][{]"));
        case Kind::command:
            return any_of({{"type", "string"}, {"minLength", 1}},
                          {{"type", "array"}, {"minItems", 1}, {"items", {{"type", "string"}}}});
        case Kind::vsock:
            return any_of({{"enum", {"auto", false}}}, or_template(integer(key)));
        case Kind::text_list:
            return list_of(text(key), key);
        case Kind::table_list:
            if (key.short_expects.empty()) return list_of(table_schema(key), key);
            return list_of(any_of({{"type", "string"}}, table_schema(key)), key);
        case Kind::text_map:
            return map_of({{"type", "string"}}, key);
        case Kind::table_map:
            return map_of(table_schema(key), key);
        case Kind::table:
            if (key.short_form.empty()) return table_schema(key);
            return any_of(bare_schema(*find_key(key, key.short_form)), table_schema(key));
        case Kind::free:
            return {{"type", "object"}};
    }
    return {};
}

Json key_schema(const Key& key) {
    Json out = bare_schema(key);
    out["description"] = std::string(key.help) + (key.later ? " (not available yet)" : "");
    bool plain_default = !key.fallback.empty() && !(key.kind == Kind::table);
    if (plain_default) out["default"] = Json::parse(key.fallback);
    return out;
}

/// A batch: its `sandbox` is a path or a whole manifest, and a job may override any key of it.
Json batch_schema() {
    Json out = table_schema(batch_root());
    Json& properties = out["properties"];
    properties["sandbox"]["anyOf"] =
        Json::array({{{"type", "string"}, {"minLength", 1}}, {{"$ref", "#/$defs/sandbox"}}});
    properties["sandbox"].erase("type");
    properties["sandbox"].erase("minLength");
    Json& job = properties["job"]["items"]["properties"];
    for (const Key& key : sandbox_root().children)
        if (std::string name(key.name); !job.contains(name) && name != "schema")
            job[name] = {{"$ref", "#/$defs/sandbox/properties/" + name}};
    return out;
}

}  // namespace

std::string json_schema() {
    Json sandbox = table_schema(sandbox_root());
    Json is_batch = {{"anyOf", Json::array({{{"required", {"job"}}}, {{"required", {"sandbox"}}}})}};
    Json document{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                  {"title", "vmette manifest"},
                  {"type", "object"},
                  {"if", std::move(is_batch)},
                  {"then", {{"$ref", "#/$defs/batch"}}},
                  {"else", {{"$ref", "#/$defs/sandbox"}}},
                  {"$defs", {{"sandbox", std::move(sandbox)}, {"batch", batch_schema()}}}};
    return document.dump(2) + '\n';
}

}  // namespace vmette::manifest
