/// Files of jobs that are wrong, as the user sees it.

#include <gtest/gtest.h>

#include "manifest/batch_helpers.h"
#include "manifest/rows.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_jobs;

std::string json_errors(const std::string& rows, const std::string& more = "exec = [\"{{p}}\"]\n") {
    Files files{{"/proj/t.jsonl", rows}};
    return load_jobs("[[job]]\nname = \"t-{{id}}\"\nfrom = \"t.jsonl\"\n" + more, files).error;
}

std::string csv_errors(const std::string& rows, const std::string& more = "exec = [\"{{p}}\"]\n") {
    Files files{{"/proj/t.csv", rows}};
    return load_jobs("[[job]]\nname = \"t-{{id}}\"\nfrom = \"t.csv\"\n" + more, files).error;
}

TEST(JsonRowsTest, ABrokenLineIsNamedAndNothingIsHandedOn) {
    std::string rows;
    for (int i = 1; i < 5000; ++i) rows += fmt::format("{{\"id\": {}, \"p\": \"x\"}}\n", i);
    rows += "{\"id\": 5000, \"p\": x}\n{\"id\": 5001, \"p\": \"y\"}\n{\"id\" 1}\n";
    Files files{{"/proj/t.jsonl", rows}};
    auto loaded = load_jobs("[[job]]\nname = \"t-{{id}}\"\nfrom = \"t.jsonl\"\nexec = [\"{{p}}\"]\n", files);
    EXPECT_TRUE(loaded.jobs.empty());
    EXPECT_EQ(loaded.error,
              "t.jsonl:5000:19: error: not valid JSON: value - invalid literal\n"
              "    {\"id\": 5000, \"p\": x}\n"
              "                      ^\n"
              "\n"
              "t.jsonl:5002:7: error: not valid JSON: object separator - unexpected number literal; expected ':'\n"
              "    {\"id\" 1}\n"
              "          ^\n");
}

TEST(JsonRowsTest, WhatIsNoFlatObjectIsRefused) {
    EXPECT_EQ(json_errors("[1]\n"),
              "t.jsonl:1:1: error: a line must be an object: {\"name\": value, ...}\n    [1]\n    ^\n");
    EXPECT_EQ(json_errors("{\"id\": 1, \"p\": \"a\", \"id\": 2}\n"),
              "t.jsonl:1:24: error: the field \"id\" is there twice\n"
              "    {\"id\": 1, \"p\": \"a\", \"id\": 2}\n"
              "                           ^\n");
    EXPECT_EQ(json_errors("{\"id\": 1, \"p\": \"a\\u0000b\"}\n"),
              "t.jsonl:1:16: error: a NUL byte in a string\n"
              "    {\"id\": 1, \"p\": \"a\\u0000b\"}\n"
              "                   ^\n");
    EXPECT_NE(json_errors("{\"id\": 1, \"p\": \"a\xff\"}\n").find("t.jsonl:1:18: error: not valid JSON"),
              std::string::npos);
    EXPECT_NE(json_errors("{\"id\": 1} {\"id\": 2}\n").find("t.jsonl:1:11: error: not valid JSON"), std::string::npos);
    EXPECT_NE(json_errors("{\"id\": 1,\n").find("not valid JSON"), std::string::npos);
    EXPECT_EQ(json_errors("\n \n"),
              "batch.toml:4:8: error: from: t.jsonl has no job\n    from = \"t.jsonl\"\n           ^\n");
}

TEST(JsonRowsTest, ARowThatLacksAFieldIsNamedAndOneThatAllLackIsTheTemplates) {
    EXPECT_EQ(json_errors("{\"id\": 1, \"p\": \"a\"}\n{\"id\": 2, \"P\": \"b\"}\n{\"id\": 3, \"p\": null}\n"),
              "t.jsonl:2:1: error: no field \"p\" for {{p}} at batch.toml:5:9; did you mean \"P\"?\n"
              "    {\"id\": 2, \"P\": \"b\"}\n"
              "    ^\n"
              "\n"
              "t.jsonl:3:16: error: the field \"p\" is null, and {{p}} at batch.toml:5:9 wants a value\n"
              "    {\"id\": 3, \"p\": null}\n"
              "                   ^\n");
    EXPECT_EQ(
        json_errors("{\"id\": 1, \"promt\": \"a\"}\n{\"id\": 2, \"promt\": \"b\"}\n", "exec = [\"{{prompt}}\"]\n"),
        "batch.toml:5:9: error: nothing defines {{prompt}}: no row of t.jsonl has that field; did you mean \"promt\"?\n"
        "    exec = [\"{{prompt}}\"]\n"
        "            ^\n");
    std::string rows = "{\"id\": 0, \"p\": \"a\"}\n";
    for (int i = 1; i < 10; ++i) rows += fmt::format("{{\"id\": {}}}\n", i);
    EXPECT_NE(json_errors(rows).find("4 more rows of t.jsonl have no field \"p\""), std::string::npos);
}

TEST(JsonRowsTest, AWrongValueIsShownWhereItStands) {
    EXPECT_EQ(json_errors("{\"id\": 1, \"m\": \"1G\"}\n{\"id\": 2, \"m\":  \"lots\"}\n", "limits.memory = \"{{m}}\"\n"),
              "t.jsonl:2:17: error: job t-2: limits.memory: \"lots\" is not a size: a whole number with K, M, G or T, "
              "or a bare number of MiB (from batch.toml:5:17)\n"
              "    {\"id\": 2, \"m\":  \"lots\"}\n"
              "                    ^\n");
    EXPECT_EQ(json_errors("{\"id\": \"A b\"}\n", ""),
              "t.jsonl:1:8: error: name must be a name: lower-case letters, digits, '.', '_' and '-', at most 63, the "
              "first a "
              "letter or digit, not \"t-A b\" (from batch.toml:3:8)\n"
              "    {\"id\": \"A b\"}\n"
              "           ^\n");
}

TEST(CsvRowsTest, BrokenRowsAreNamed) {
    EXPECT_EQ(csv_errors("id,p\n1,a\n2\n3,\"a\nb\",c\n4,x\"y\"\n5,\"x\"y\n6,\"open\n"),
              "t.csv:3:1: error: 1 fields where the first line names 2\n"
              "    2\n"
              "    ^\n"
              "\n"
              "t.csv:4:1: error: 3 fields where the first line names 2\n"
              "    3,\"a\n"
              "    ^\n"
              "\n"
              "t.csv:6:4: error: a quote within a field that has none around it (write \"a \"\"b\"\"\")\n"
              "    4,x\"y\"\n"
              "       ^\n"
              "\n"
              "t.csv:7:6: error: after a closing quote only a comma or the end of the line may stand (a quote is "
              "written \"\")\n"
              "    5,\"x\"y\n"
              "         ^\n"
              "\n"
              "t.csv:8:3: error: the quote is not closed\n"
              "    6,\"open\n"
              "      ^\n");
    EXPECT_NE(csv_errors("id,p\n1,\xff\n").find("a byte that is not valid UTF-8"), std::string::npos);
    EXPECT_NE(csv_errors(std::string("id,p\n1,a\0b\n", 11)).find("t.csv:2:4: error: a NUL byte"), std::string::npos);
    EXPECT_NE(csv_errors("id,p\n1,a\rb\n").find("t.csv:2:4: error: a carriage return"), std::string::npos);
}

TEST(CsvRowsTest, TheHeaderNamesTheColumns) {
    EXPECT_EQ(csv_errors("id,prompt\n1,a\n"),
              "batch.toml:5:9: error: nothing defines {{p}}\n    exec = [\"{{p}}\"]\n            ^\n");
    EXPECT_EQ(csv_errors("id,p,id\n1,a,2\n"),
              "t.csv:1:6: error: another column is named \"id\" too\n    id,p,id\n         ^\n");
    EXPECT_EQ(csv_errors(""), "t.csv: error: empty: the first line must name the columns\n");
    EXPECT_EQ(csv_errors("id,p\n"),
              "batch.toml:4:8: error: from: t.csv has no job\n    from = \"t.csv\"\n           ^\n");
    Files files{{"/proj/t.csv", "id,m\n1,2\n"}};
    EXPECT_NE(load_jobs("[[job]]\nname = \"{{id}}{{m}}\"\nfrom = \"t.csv\"\nmatrix.m = [1]\n", files)
                  .error.find("matrix.m: the rows of t.csv have a field of that name too"),
              std::string::npos);
}

TEST(RowsErrorsTest, FilesThatAreNone) {
    EXPECT_EQ(load_jobs("[[job]]\nname = \"t{{id}}\"\nfrom = \"t.json\"\n").error,
              "batch.toml:4:8: error: from must be a file whose name ends in .jsonl, .ndjson or .csv, not \"t.json\"\n"
              "    from = \"t.json\"\n"
              "           ^\n");
    EXPECT_EQ(load_jobs("[[job]]\nname = \"t{{id}}\"\nfrom = \"no.csv\"\n").error,
              "batch.toml:4:8: error: from: /proj/no.csv does not exist\n"
              "    from = \"no.csv\"\n"
              "           ^\n");
    LoadRequest request = testing::batch_request("[[job]]\nname = \"t{{id}}\"\nfrom = \"/dev/null.csv\"\n");
    request.open = nullptr;
    EXPECT_NE(testing::load_batch_request(request).error.find("/dev/null.csv"), std::string::npos);
}

TEST(RowsErrorsTest, AnEndlessRowIsRefusedWithLittleMemory) {
    std::string row(kMaxRecordBytes + 10, 'x');
    EXPECT_EQ(json_errors("{\"id\": 1, \"p\": \"a\"}\n" + row + "\n"),
              "t.jsonl:2:1: error: longer than 1048576 bytes\n");
    EXPECT_EQ(csv_errors("id,p\n1,\"" + row + row),
              "t.csv:2:1: error: longer than 1048576 bytes: is a quote not closed?\n");
}

TEST(RowsErrorsTest, FieldsAreBounded) {
    std::string row = "{\"id\": 1";
    for (int i = 0; i < 300; ++i) row += fmt::format(", \"f{}\": 1", i);
    EXPECT_NE(json_errors(row + "}\n").find("more than 256 fields"), std::string::npos);
    EXPECT_NE(csv_errors("id" + std::string(300, ',') + "\n").find("more than 256 fields"), std::string::npos);
    EXPECT_NE(json_errors("{\"id\": 1, \"p\": " + std::string(300'000, '[') + "\n").find("not valid JSON"),
              std::string::npos);
}

TEST(RecordReaderTest, SplitsTheSameHoweverThePiecesFall) {
    std::string text = "a,\"x\ny\"\r\n\n\"\n\n\",b\nlast";
    RecordReader reader(*testing::file_of(text), RecordFormat::csv);
    std::vector<std::pair<std::uint32_t, std::string>> records;
    for (auto record = reader.next(); record && *record; record = reader.next())
        records.emplace_back((*record)->line, (*record)->text);
    EXPECT_EQ(records,
              (std::vector<std::pair<std::uint32_t, std::string>>{{1, "a,\"x\ny\""}, {4, "\"\n\n\",b"}, {7, "last"}}));
    EXPECT_EQ(*reader.count(2), 2U);
    EXPECT_EQ(*reader.count(100), 3U);
    EXPECT_EQ((*reader.next())->line, 1U);
}

}  // namespace
}  // namespace vmette::manifest
