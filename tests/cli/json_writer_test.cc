#include "cli/json_writer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vmette::cli {
namespace {

TEST(JsonWriterTest, EveryByteSurvivesAParser) {
    std::string text;
    for (int byte = 0; byte < 128; ++byte) text += static_cast<char>(byte);
    text += "é漢🙂";
    EXPECT_EQ(nlohmann::json::parse(json_string(text)).get<std::string>(), text);
}

TEST(JsonWriterTest, BytesThatAreNotUtf8AreReplaced) {
    EXPECT_EQ(nlohmann::json::parse(json_string("a\xff"
                                                "b"))
                  .get<std::string>(),
              "a\xEF\xBF\xBD"
              "b");
}

TEST(JsonWriterTest, FieldsKeepTheirOrderAndNest) {
    std::string inner = JsonObject().number("used", 5).render();
    std::string text = JsonObject().text("z", "1").boolean("a", true).raw("inner", inner).render();
    EXPECT_EQ(text, "{\n  \"z\": \"1\",\n  \"a\": true,\n  \"inner\": {\n    \"used\": 5\n  }\n}");
    EXPECT_EQ(JsonObject().text_or_null("n", "").texts("t", {"x", "y"}).render(false),
              "{\"n\": null, \"t\": [\"x\", \"y\"]}");
}

TEST(JsonWriterTest, EmptyArrayIsTwoBrackets) {
    EXPECT_EQ(json_array({}), "[]");
    EXPECT_EQ(json_array({"1", "2"}), "[\n  1,\n  2\n]");
}

}  // namespace
}  // namespace vmette::cli
