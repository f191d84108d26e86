// Codes that rows and columns earn: duplicates, units, counting, checkpoints, outliers.
#include <doctest/doctest.h>

#include "law/diagnose_tables.h"

using namespace rung;

TEST_CASE("diagnose: duplicates and impossible losses are named by row") {
  Table table = chinchilla_grid(5, 2.0, 0.003);
  for (Column& column : table.columns) {
    column.values.push_back(column.values[3]);
    column.values.push_back(column.values[7]);
  }
  table.rows += 2;
  table.columns[2].values.back() = 40.0;
  const Fit fit = fit_law(table, no_bootstrap);
  CHECK(severity_of(fit, "duplicate-rows") == "warning");
  CHECK(severity_of(fit, "impossible-loss") == "warning");
  CHECK(text_of(fit, "duplicate-rows").find("row 26 = row 4") != std::string::npos);
  CHECK(text_of(fit, "impossible-loss").find("row 27") != std::string::npos);
}

TEST_CASE("diagnose: checkpoints beside finished runs are told apart from whole runs") {
  Table table = chinchilla_grid(6, 2.0, 0.003);
  std::vector<double> run;
  for (int i = 0; i < 36; ++i) run.push_back(i);
  Table separate = table;
  separate.add("run", run);
  CHECK(severity_of(fit_law(separate, no_bootstrap), "mixed-checkpoints").empty());
  CHECK(severity_of(fit_law(separate, no_bootstrap), "checkpoints").empty());
  Table mixed = table;
  for (int i = 0; i < 12; ++i) run[i] = i / 6;  // two runs with six lengths each
  mixed.add("run", run);
  const Fit fit = fit_law(mixed, no_bootstrap);
  CHECK(severity_of(fit, "mixed-checkpoints") == "warning");
  CHECK(severity_of(fit, "checkpoints").empty());
  for (int i = 0; i < 36; ++i) run[i] = i / 6;
  Table curves = table;
  curves.add("run", run);
  CHECK(severity_of(fit_law(curves, no_bootstrap), "checkpoints") == "note");
  CHECK(text_of(fit_law(curves, no_bootstrap), "checkpoints").find("--cluster") !=
        std::string::npos);
  // What is given is not asked for, and what Rung's own ladders say is not doubted.
  FitOptions clustered = no_bootstrap;
  clustered.cluster_column = "run";
  const std::string text = text_of(fit_law(curves, clustered), "checkpoints");
  CHECK(text.find("--cluster") == std::string::npos);
  CHECK(text.find("Unless each was annealed") != std::string::npos);
  curves.add("branch_step", std::vector<double>(36, 100.0));
  mixed.add("branch_step", std::vector<double>(36, 100.0));
  std::vector<double> used(36, 1.0);
  Table climb = curves;
  climb.add("used", used);
  CHECK(severity_of(fit_law(climb, no_bootstrap), "unused-rows").empty());
  used[3] = used[35] = 0.0;
  climb = curves;
  climb.add("used", used);
  CHECK(text_of(fit_law(climb, no_bootstrap), "unused-rows").starts_with("2 of 36 rows"));
  CHECK(severity_of(fit_law(curves, clustered), "checkpoints").empty());
  for (const Table& own : {curves, mixed}) {
    const Fit branches = fit_law(own, no_bootstrap);
    CHECK(severity_of(branches, "mixed-checkpoints").empty());
    CHECK(text_of(branches, "checkpoints").find("annealed") == std::string::npos);
    CHECK(text_of(branches, "checkpoints").find("--cluster") != std::string::npos);
  }
}

TEST_CASE("diagnose: C against 6 N D shows mixed counting, drifts and other units") {
  const Table table = chinchilla_grid(6, 2.0, 0.003);
  const auto with_c = [&](auto&& factor) {
    std::vector<double> c;
    for (size_t i = 0; i < table.rows; ++i)
      c.push_back(6 * table.columns[0].values[i] * table.columns[1].values[i] * factor(i));
    Table result = table;
    result.add("C", c);
    return fit_law(result, no_bootstrap);
  };
  const Fit plain = with_c([](size_t) { return 1.0; });
  for (const char* code : {"mixed-counting", "counting", "units", "units-mixed"})
    CHECK(severity_of(plain, code).empty());
  const Fit mixed = with_c([](size_t i) { return i % 3 == 0 ? 1.25 : 1.0; });
  CHECK(severity_of(mixed, "mixed-counting") == "warning");
  CHECK(severity_of(mixed, "counting").empty());
  const Fit drift =
      with_c([&](size_t i) { return 1 + 0.4 * std::pow(1e7 / table.columns[0].values[i], 0.3); });
  CHECK(severity_of(drift, "counting") == "note");
  CHECK(severity_of(drift, "mixed-counting").empty());
  CHECK(severity_of(with_c([](size_t) { return 1e6; }), "units") == "warning");
  const Fit partly = with_c([](size_t i) { return i == 4 ? 1e3 : 1.0; });
  CHECK(severity_of(partly, "units-mixed") == "warning");
  CHECK_FALSE(partly.refused());
}

TEST_CASE("diagnose: another count of parameters that drifts against N is noted") {
  const Table table = chinchilla_grid(6, 2.0, 0.003);
  for (const bool drifts : {true, false}) {
    std::vector<double> total;
    for (const double n : table.columns[0].values)
      total.push_back(n * (drifts ? 1 + 3e6 / n : 1.05));
    Table both = table;
    both.add("N_total", total);
    CHECK(severity_of(fit_law(both, no_bootstrap), "counting") == (drifts ? "note" : ""));
  }
}

TEST_CASE("diagnose: thousands among ones in an input") {
  Table table = chinchilla_grid(6, 2.5, 0.003);
  CHECK(severity_of(fit_law(table, no_bootstrap), "units-mixed").empty());
  for (size_t i = 12; i < 20; ++i) table.columns[0].values[i] /= 1e6;
  FitOptions options = no_bootstrap;
  options.refuse = false;
  const Fit fit = fit_law(table, options);
  CHECK(severity_of(fit, "units-mixed") == "warning");
  CHECK(text_of(fit, "units-mixed").find("8 of 36 rows hold N") != std::string::npos);
}

TEST_CASE("diagnose: few clusters") {
  Table table = chinchilla_grid(6, 2.0, 0.003);
  std::vector<double> size, row;
  for (int i = 0; i < 36; ++i) size.push_back(i / 6), row.push_back(i);
  table.add("size", size);
  table.add("row", row);
  FitOptions options = no_bootstrap;
  options.cluster_column = "size";
  CHECK(severity_of(fit_law(table, options), "few-clusters") == "warning");
  options.cluster_column = "row";
  CHECK(severity_of(fit_law(table, options), "few-clusters").empty());
}

TEST_CASE("diagnose: a failed run is named where it widens the intervals of the others") {
  Table table = chinchilla_grid(6, 2.5, 0.003);
  const Fit clean = fit_law(table, {.bootstrap = 100, .threads = 1});
  table.columns[2].values[7] = 9.0;  // below the loss that counts as impossible
  const Fit fit = fit_law(table, {.bootstrap = 100, .threads = 1});
  REQUIRE(severity_of(fit, "outliers") == "warning");
  const std::string text = text_of(fit, "outliers");
  CHECK(text.find("1 of 36 rows") != std::string::npos);
  CHECK(text.find("row 8") != std::string::npos);
  // The coefficients hardly move, the intervals do: that is what is warned of.
  CHECK(fit.coefficients[3].value == doctest::Approx(clean.coefficients[3].value).epsilon(0.05));
  CHECK(fit.coefficients[3].se > 5 * clean.coefficients[3].se);
  // Many rows off are no outliers but another law; weights are the caller's own word.
  for (size_t i = 0; i < table.rows; i += 4) table.columns[2].values[i] *= 1.5;
  CHECK(severity_of(fit_law(table, no_bootstrap), "outliers") == "");
}

TEST_CASE("diagnose: whole columns in millions or billions") {
  Table table = chinchilla_grid(6, 2.5, 0.003);
  for (double& n : table.columns[0].values) n /= 1e6;
  const Fit millions = fit_law(table, no_bootstrap);
  CHECK(severity_of(millions, "units") == "warning");
  for (double& n : table.columns[0].values) n *= 1e6;
  for (double& d : table.columns[1].values) d /= 1e9;
  CHECK(severity_of(fit_law(table, no_bootstrap), "units") == "warning");
  // Rung's own tables count in ones, however short their runs.
  table.add("branch_step", std::vector<double>(table.rows, 100.0));
  CHECK(severity_of(fit_law(table, no_bootstrap), "units").empty());
}
