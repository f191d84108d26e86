#include "law/column_names.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "law/forms.h"
#include "law/law_data.h"

using namespace rung;

namespace {

std::string refusal_of(const Table& table, const FitOptions& options) {
  try {
    fit_law(table, options);
  } catch (const Error& error) {
    CHECK(error.kind == Failure::usage);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("columns: a mapping that nothing reads is a usage error") {
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  // Passed over, `n` would leave the column N in its place.
  CHECK(refusal_of(table, {.columns = {{"n", "C"}}, .bootstrap = 0}) ==
        "[columns] chinchilla reads no n. Received n=C. The nearest is N.");
  CHECK(refusal_of(table, {.law = "isoflop", .columns = {{"loss", "loss"}}, .bootstrap = 0})
            .find("isoflop reads no loss") != std::string::npos);
  CHECK(refusal_of(table, {.columns = parse_column_map("N=N,L=loss"), .bootstrap = 0}) == "");
  // A name of the filter's own.
  const FitOptions filtered{.columns = {{"size", "N"}}, .where = "size > 1e8", .bootstrap = 0};
  CHECK(refusal_of(table, filtered) == "");
}

TEST_CASE("columns: of several laws each takes the names that it reads") {
  FitOptions common{.bootstrap = 0};
  common.columns = parse_column_map("width=N,depth=D,L=loss");
  const std::vector<FitOptions> each = options_of_laws(common, {"chinchilla", "width-depth"});
  CHECK(each[0].columns.size() == 1);
  CHECK(each[1].columns.size() == 3);
  common.columns.emplace("widht", "N");
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  CHECK(refusal_of(table, options_of_laws(common, {"chinchilla", "width-depth"})[0])
            .find("reads no widht") != std::string::npos);
}

TEST_CASE("columns: a table without any is said to have none") {
  CHECK(refusal_of(parse_table("{}", TableFormat::jsonl), {.bootstrap = 0})
            .find("has no columns. Give a table of runs") != std::string::npos);
}

TEST_CASE("columns: options that name a column say only the column") {
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  CHECK(refusal_of(table, {.bootstrap = 0, .cluster_column = "runs"})
            .find("no such column. Received runs. The nearest") != std::string::npos);
}
