#include "law/exports.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"

using namespace rung;

TEST_CASE("exports: a Weights & Biases chart becomes one row a point") {
  const Table table = parse_table(
      "\"Step\",\"wide - 2 - loss\",\"wide - 2 - loss__MIN\",\"wide - 2 - loss__MAX\",\"narrow - "
      "loss\",\"narrow - loss__MIN\",\"narrow - loss__MAX\",\"narrow - _step\"\n"
      "100,4.1,4.1,4.1,4.4,4.4,4.4,100\n"
      "200,,,,4.0,4.0,4.0,200\n"
      "300,3.6,3.6,3.6,,,,\n",
      TableFormat::csv);
  CHECK(table.rows == 4);
  CHECK(table.find("run")->text ==
        std::vector<std::string>{"wide - 2", "wide - 2", "narrow", "narrow"});
  CHECK(table.find("Step")->values == std::vector<double>{100, 300, 100, 200});
  CHECK(table.find("loss")->values == std::vector<double>{4.1, 3.6, 4.4, 4.0});
  CHECK(table.columns.size() == 3);
}

TEST_CASE("exports: two keys of one run stand beside each other") {
  const Table table = parse_table(
      "tokens,a - train,a - train__MIN,a - train__MAX,a - val,a - val__MIN,a - val__MAX\n"
      "1e6,4,4,4,,,\n2e6,3,3,3,3.5,3.5,3.5\n",
      TableFormat::csv);
  CHECK(table.rows == 2);
  CHECK(table.find("train")->values == std::vector<double>{4, 3});
  CHECK(std::isnan(table.find("val")->values[0]));
  CHECK(table.find("val")->values[1] == 3.5);
}

TEST_CASE("exports: a table that merely has dashes in its names stays as it is") {
  const Table table = parse_table("N,loss - final,D\n1,2,3\n", TableFormat::csv);
  CHECK(table.columns.size() == 3);
  CHECK(table.find("loss - final") != nullptr);
  const Table mixed =
      parse_table("N,a - loss,a - loss__MIN,a - loss__MAX,width\n1,2,2,2,64\n", TableFormat::csv);
  CHECK(mixed.find("width") != nullptr);
  CHECK(mixed.find("run") == nullptr);
}

TEST_CASE("exports: TensorBoard scalars and arrays of objects as JSON") {
  const Table scalars =
      parse_table("[[1700000000.5, 100, 3.5], [1700000010.5, 200, \"NaN\"]]", TableFormat::jsonl);
  CHECK(scalars.find("Step")->values == std::vector<double>{100, 200});
  CHECK(scalars.find("Value")->values[0] == 3.5);
  CHECK(std::isnan(scalars.find("Value")->values[1]));
  const Table objects =
      parse_table(" [{\"N\": 1e6, \"loss\": 3}, {\"loss\": 2.5}]", TableFormat::jsonl);
  CHECK(objects.rows == 2);
  CHECK(std::isnan(objects.find("N")->values[1]));
  CHECK(objects.find("loss")->values[1] == 2.5);
}

TEST_CASE("exports: bad arrays name their entry") {
  const auto message = [](const char* text) -> std::string {
    try {
      parse_table(text, TableFormat::jsonl, "export.json");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("[[1, 2, 3], [1, 2]]").find("export.json, entry 2") != std::string::npos);
  CHECK(message("[{\"N\": 1}, 3]").find("entry 2") != std::string::npos);
  CHECK(message("[]").find("empty") != std::string::npos);
  CHECK(message("[1, 2").find("no JSON array") != std::string::npos);
}
