#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

namespace {

// The fine-tuning curve of one model: the file's columns named by sizes, without D = 0.
Table curve(const Table& file, size_t row) {
  std::vector<double> sizes, losses;
  for (const Column& column : file.columns) {
    const bool size =
        !column.name.empty() && column.name.find_first_not_of("0123456789") == std::string::npos;
    if (!size || column.name == "0" || !std::isfinite(column.values[row])) continue;
    sizes.push_back(std::stod(column.name));
    losses.push_back(column.values[row]);
  }
  Table table;
  table.add("D", sizes);
  table.add("L", losses);
  return table;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

TEST_CASE("rectified: derivatives match finite differences") {
  check_derivatives(rectified_law, {1100.0, 350.0, 0.6, 0.9}, {3e4});
  check_derivatives(rectified_law, {20.0, 3.0, 0.2, 0.0}, {500.0});
}

TEST_CASE("rectified: all 90 published fits are reached or beaten") {
  const Table published = read_table(law_data("rectified/rmsd.csv"));
  const Column& names = *published.find("model");
  const Column& sets = *published.find("dataset");
  const Column& errors = *published.find("our_rmsd_under_log");
  int compared = 0;
  double mean_ours = 0.0, mean_published = 0.0;
  for (const std::string set : {"flan", "gigaword", "wmt19"}) {
    const Table file = read_table(law_data("rectified/" + set + ".csv"));
    for (size_t row = 0; row < file.rows; ++row) {
      const std::string model = file.find("config name")->text[row];
      size_t at = 0;
      while (at < published.rows && (names.text[at] != model || sets.text[at] != upper(set))) ++at;
      REQUIRE(at < published.rows);
      const Fit fit = fit_law(
          curve(file, row),
          {.law = "rectified", .objective = "least-squares", .bootstrap = 0, .refuse = false});
      CAPTURE(set);
      CAPTURE(model);
      CHECK(fit.points == 14);
      CHECK(fit.residual_rms <= errors.values[at] * (1 + 1e-6));
      mean_ours += fit.residual_rms / 90;
      mean_published += errors.values[at] / 90;
      ++compared;
    }
  }
  CHECK(compared == 90);
  MESSAGE("mean rms of ln L: " << mean_ours << ", published " << mean_published);
}

TEST_CASE("rectified: three models' optima, solved independently to 6 digits") {
  const Table file = read_table(law_data("rectified/wmt19.csv"));
  const std::pair<const char*, double> goldens[] = {{"MBZUAI/LaMini-GPT-124M", 0.010790},
                                                    {"MBZUAI/LaMini-GPT-774M", 0.009295},
                                                    {"MBZUAI/LaMini-GPT-1.5B", 0.015015}};
  for (const auto& [model, rms] : goldens)
    for (size_t row = 0; row < file.rows; ++row)
      if (file.find("config name")->text[row] == model) {
        const Fit fit = fit_law(
            curve(file, row),
            {.law = "rectified", .objective = "least-squares", .bootstrap = 0, .refuse = false});
        CHECK(fit.residual_rms == doctest::Approx(rms).epsilon(1e-4));
      }
}

TEST_CASE("rectified: no fit is worse than its own restrictions to a bound") {
  // Some of these curves have no flat part (D_l runs to its bound), some no floor (E runs to 0).
  for (const std::string set : {"flan", "gigaword", "wmt19"}) {
    const Table file = read_table(law_data("rectified/" + set + ".csv"));
    for (size_t row = 0; row < file.rows; ++row) {
      const Table table = curve(file, row);
      FitOptions options{.law = "rectified", .bootstrap = 0, .refuse = false};
      const double free = fit_law(table, options).objective_value;
      for (const char* bounded : {"E", "D_l"}) {
        options.fixed = {{bounded, bounded == std::string("E") ? 0.0 : 1e-6}};
        CAPTURE(set);
        CAPTURE(row);
        CHECK(free <= fit_law(table, options).objective_value * (1 + 1e-6));
      }
    }
  }
}

TEST_CASE("rectified: recovers planted coefficients") {
  check_recovery(rectified_law, 1e-4);
  check_noisy_recovery(rectified_law);
}

TEST_CASE("rectified: one size, or sizes that do not help, are refused") {
  Table table;
  table.add("D", {1e4, 1.001e4, 1.002e4, 1.003e4, 1.004e4, 1.005e4});
  table.add("L", {2.0, 2.01, 1.99, 2.0, 2.01, 2.0});
  CHECK(has_refusal(fit_law(table, {.law = "rectified", .bootstrap = 0}), "constant-input"));
  Table flat = planted_table(rectified_law, {1e-9, 1.0, 0.5, 2.0}, true);
  CHECK(
      fit_law(flat, {.law = "rectified", .objective = "least-squares", .bootstrap = 0}).refused());
}
