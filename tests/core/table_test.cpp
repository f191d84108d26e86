#include "core/table.h"

#include <doctest/doctest.h>

#include "core/csv.h"
#include "temporary.h"

using namespace rung;

TEST_CASE("text tables align numbers right and text left, UTF-8 included") {
  CHECK(text_table({"name", "loss"}, {{"a", "3.1"}, {"müller", "12.25"}, {"c", ""}, {"d"}}) ==
        "name     loss\n"
        "-------------\n"
        "a         3.1\n"
        "müller  12.25\n"
        "c\n"
        "d\n");
  CHECK(text_table({"a", "b"}, {}) == "a  b\n----\n");
  CHECK_THROWS(text_table({"a"}, {{"1", "2"}}));
}

TEST_CASE("lines are broken between cells, else between words, and never inside a number") {
  CHECK(fit_lines("a  1.25\n-------\n", 7) == "a  1.25\n-------\n");
  CHECK(fit_lines("name   8.00 GB  1.2345\n----------------------\n", 16) ==
        "name   8.00 GB\n    1.2345\n----------------\n");
  CHECK(fit_lines("müller  1.2345", 14) == "müller  1.2345");
  CHECK(fit_lines("one line of words", 12) == "one line of\n    words");
  CHECK(fit_lines("plan    a target of words", 19) == "plan    a target of\n    words");
  CHECK(fit_lines("go on:\n  rung train --out runs\n", 12) == "go on:\n  rung train --out runs\n");
  CHECK(fit_lines("rung: not a command", 12) == "rung: not a\n    command");
  CHECK(fit_lines("unbreakable\n", 4) == "unbreakable\n");
  CHECK(fit_lines("unbreakable 1.25 2.50", 9) == "unbreakable\n    1.25\n    2.50");
  CHECK(fit_lines("    unbreakable  1.25\n", 3) == "    unbreakable\n    1.25\n");
  CHECK(fit_lines("spaces at its end   \n", 17) == "spaces at its end   \n");
  CHECK(fit_lines("       ", 3) == "       ");
  CHECK(fit_lines("", 4).empty());
}

TEST_CASE("CSV quotes what needs it and reads back") {
  CHECK(csv_line({"a", "b,c", "say \"x\"", "two\nlines", ""}) ==
        "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\n");
  const std::vector<TableRow> rows = {
      {"a", "b,c", "say \"x\""}, {"two\nlines", "", "\"\""}, {"", "1", ""}};
  std::string text;
  for (const TableRow& row : rows) text += csv_line(row);
  CHECK(read_csv(text, "t") == rows);
  CHECK(read_csv("\xef\xbb\xbfN,L\r\n1,2\r\n\r\n3,4", "t") ==
        std::vector<TableRow>{{"N", "L"}, {"1", "2"}, {"3", "4"}});
  CHECK(read_csv("\"\"\n", "t") == std::vector<TableRow>{{""}});
  CHECK(read_csv("", "t").empty());
  CHECK(error_of([] { read_csv("a\n\"b", "runs.csv"); }) ==
        "[csv] A quoted field is never closed. Received runs.csv, line 2.");
}

TEST_CASE("CSV: blanks before a quote, stray text behind it, other delimiters, lines counted") {
  std::vector<std::string_view> cells;
  CsvReader reader("a; \"b;\nc\"d ;\n  \n\ne\"f;\"\"", ';', "t");
  REQUIRE(reader.next(cells));
  CHECK(cells == std::vector<std::string_view>{"a", "b;\ncd ", ""});
  CHECK(reader.line() == 1);
  REQUIRE(reader.next(cells));
  CHECK(cells == std::vector<std::string_view>{"e\"f", ""});
  CHECK(reader.line() == 5);
  CHECK_FALSE(reader.next(cells));
}
