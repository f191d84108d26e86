#include "law/table.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "law/expression.h"
#include "law/fit.h"

using namespace rung;

namespace {

std::string message(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("table: quoted fields, blank lines, CRLF and a byte-order mark") {
  const Table table = parse_table(
      "\xef\xbb\xbfname,\"Model Size\",loss\r\n\"a, \"\"b\"\"\",1e9,2.5\r\n\r\nc,+2e9,\n",
      TableFormat::csv);
  CHECK(table.rows == 2);
  CHECK(table.find("name")->text == std::vector<std::string>{"a, \"b\"", "c"});
  CHECK(table.find("Model Size")->values == std::vector<double>{1e9, 2e9});
  CHECK(std::isnan(table.find("loss")->values[1]));
  CHECK(match_column(table, "N", {}) == table.find("Model Size"));
  CHECK(match_column(table, "L", {}) == table.find("loss"));
}

TEST_CASE("table: TSV and JSON lines") {
  CHECK(parse_table("N\tL\n1\t2\n", TableFormat::tsv).find("L")->values[0] == 2.0);
  const Table semicolons = parse_table("N;L;note\n1,6e8;2,5;a, b\n", TableFormat::csv);
  CHECK(semicolons.find("N")->values[0] == 1.6e8);
  CHECK(semicolons.find("L")->values[0] == 2.5);
  CHECK(semicolons.find("note")->text[0] == "a, b");
  CHECK(parse_table("N;L\n1,5B ;2,5\n", TableFormat::csv).find("N")->values[0] == 1.5e9);
  CHECK(parse_table("N,a;b\n1,2\n", TableFormat::csv).find("a;b")->values[0] == 2.0);
  const Table table = parse_table(
      "{\"PARAMS\": 1e9, \"loss\": 3}\n{\"PARAMS\": 2e9, \"split\": \"x\"}\n", TableFormat::jsonl);
  CHECK(match_column(table, "N", {})->values == std::vector<double>{1e9, 2e9});
  CHECK(std::isnan(table.find("loss")->values[1]));
  CHECK(table.find("split")->text[1] == "x");
}

TEST_CASE("table: sizes as people write them are numbers, and names to filters") {
  const Table table = parse_table("N,D,L\n70M,1.4B,4\n0.16B,3e9,3.5\n2e8,4T,3\n", TableFormat::csv);
  CHECK(table.find("N")->values == std::vector<double>{70e6, 160e6, 2e8});
  CHECK(table.find("D")->values == std::vector<double>{1.4e9, 3e9, 4e12});
  CHECK(filter_rows(table, "N > 1e8", {}) == std::vector<size_t>{1, 2});
  CHECK(filter_rows(table, "N == \"70M\"", {}) == std::vector<size_t>{0});
}

TEST_CASE(
    "table: separators of thousands are not read, and an error says how to write the number") {
  const auto shown = [](const std::string& cell, const char* format = "N,L\n\"{}\",2\n") {
    const Table table = parse_table(fmt::format(fmt::runtime(format), cell), TableFormat::csv);
    return shown_cell(table.find("N"), 0, table.find("N")->values[0]);
  };
  CHECK(shown("125,000,000") == "\"125,000,000\" (write 125000000: separators are not read)");
  CHECK(shown("1,234") == "\"1,234\" (write 1234 or 1.234: separators are not read)");
  CHECK(shown("1,5B") == "\"1,5B\" (write 1.5B: separators are not read)");
  CHECK(contains(shown("125.000.000", "N;L\n{};2,5\n"), "write 125000000"));
  CHECK(contains(shown("7 000 000"), "write 7000000"));
  for (const char* cell :
       {"10Mi", "1,23,456", "1234,567,000", "1,234,56", "ab,123,456", "1,234 567"})
    CHECK(shown(cell) == fmt::format("\"{}\"", cell));
}

TEST_CASE("table: objects within objects are columns of their own") {
  const Table table = parse_table(
      "{\"config\": {\"N\": 1e9, \"opt\": {\"name\": \"adamw\"}}, \"summary\": {\"loss\": 3}}\n"
      "{\"config\": {\"N\": 2e9}, \"summary\": {}}\n",
      TableFormat::jsonl);
  CHECK(table.find("config.N")->values == std::vector<double>{1e9, 2e9});
  CHECK(table.find("config.opt.name")->text[0] == "adamw");
  CHECK(std::isnan(table.find("summary.loss")->values[1]));
  CHECK(filter_rows(table, "config.N > 1.5e9") == std::vector<size_t>{1});
  CHECK(contains(
      message([] { parse_table("{\"a\": {\"b\": 1}, \"a.b\": 2}\n", TableFormat::jsonl); }),
      "Two keys make one column"));
}

TEST_CASE("table: malformed files name the line") {
  CHECK(
      contains(message([] { parse_table("a,b\n1,2\n3\n", TableFormat::csv); }), "row 2 (line 3)"));
  CHECK(contains(message([] { parse_table("a,b\n\"1,2\n", TableFormat::csv); }), "never closed"));
  CHECK(contains(message([] { parse_table("", TableFormat::csv); }), "empty"));
  CHECK(contains(message([] { parse_table("a,a\n1,2\n", TableFormat::csv); }), "one name"));
  CHECK(contains(message([] { parse_table("{\"a\": 1}\n[2]\n", TableFormat::jsonl); }), "line 2"));
  CHECK(contains(message([] { parse_table(std::string_view("a\0b", 3), TableFormat::csv); }),
                 "no text"));
}

TEST_CASE("table: bad values of used columns are named with their rows") {
  const auto fit = [](const char* loss) {
    const std::string text = std::string("N,D,L\n1e6,1e7,3\n2e6,1e8,") + loss + "\n";
    return message([&] { fit_law(parse_table(text, TableFormat::csv), {}); });
  };
  for (const char* bad : {"nan", "inf", "-1", "0", "", "abc", "1e999"}) {
    CAPTURE(bad);
    CHECK(contains(fit(bad), "row 2 (line 3)"));
  }
}

TEST_CASE("table: unknown columns name the nearest") {
  const Table table = parse_table("params,tokens,loss\n1,2,3\n", TableFormat::csv);
  CHECK(contains(message([&] {
                   match_column(table, "N", {{"N", "parms"}});
                 }),
                 "nearest is params"));
  CHECK(parse_column_map("N=params, L = loss").at("L") == "loss");
  CHECK(contains(message([] { parse_column_map("N"); }), "NAME=COLUMN"));
  CHECK(contains(message([] { find_law("chincilla"); }), "nearest is chinchilla"));
}

TEST_CASE("filter: comparisons, logic, arithmetic, text and derived C") {
  const Table table = parse_table(
      "N,D,split,my col\n1e6,2e7,train,1\n2e6,1e6,eval,2\n3e6,9e7,train,\n", TableFormat::csv);
  using Rows = std::vector<size_t>;
  CHECK(filter_rows(table, "") == Rows{0, 1, 2});
  CHECK(filter_rows(table, "N<D") == Rows{0, 2});
  CHECK(filter_rows(table, "N < D && N*2 >= 4e6") == Rows{2});
  CHECK(filter_rows(table, "split == 'eval' or N == 1e6") == Rows{0, 1});
  CHECK(filter_rows(table, "!(split == \"train\")") == Rows{1});
  CHECK(filter_rows(table, "not split != 'train'") == Rows{0, 2});
  CHECK(filter_rows(table, "C > 1e14") == Rows{0, 2});
  CHECK(filter_rows(table, "log10(N) > 6.1 && -N < 0 && 2^3 = 8 && 2**3**0 == 2") == Rows{1, 2});
  CHECK(filter_rows(table, "`my col` >= 1") == Rows{0, 1});
  CHECK(filter_rows(table, "split && N") == Rows{0, 1, 2});
  // An empty cell makes all cells of a column text: a 0 among them is false for all that.
  const Table flagged = parse_table("N,used\n1,1\n2,0\n3,\n4,yes\n", TableFormat::csv);
  CHECK(filter_rows(flagged, "used") == Rows{0, 3});
  CHECK(filter_rows(flagged, "not used") == Rows{1, 2});
  CHECK(filter_rows(flagged, "used or N == 2") == Rows{0, 1, 3});
  CHECK(contains(message([&] { filter_rows(table, "M > 1"); }), "nearest is"));
  CHECK(contains(message([&] { filter_rows(table, "N > 1 && split==train"); }),
                 "stands in quotes: split==\"train\"."));
  CHECK(contains(message([&] { filter_rows(table, "split=='train' && M>1"); }), "nearest is"));
  // Trackers name columns model.width and val/loss.
  const Table tracked = parse_table("model.width,val/loss\n256,3\n512,2.5\n", TableFormat::csv);
  CHECK(filter_rows(tracked, "model.width > 300 and `val/loss` < 3") == Rows{1});
  CHECK(filter_rows(tracked, "model.width*0.5 > 1.5e2") == Rows{1});
  CHECK(contains(message([&] { filter_rows(tracked, "val/loss < 3"); }),
                 "Names with other characters stand in backticks: `val/loss`"));
  for (const char* wrong : {"N >", "(N > 1", "N ? 1", "'abc", "N > 1 2", "&&"})
    CHECK(contains(message([&] { filter_rows(table, wrong); }), "at character"));
  CHECK(contains(message([&] { filter_rows(table, std::string(100000, '(')); }), "too long"));
  CHECK(contains(message([&] { filter_rows(table, std::string(100000, '-')); }), "too long"));
}
