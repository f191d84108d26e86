#include "law/laws/annealing.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"
#include "law/predict.h"

using namespace rung;

namespace {

// The multi-power data's schedules: a warm-up of 2,160 steps, then constant, cosine or a cut.
std::vector<double> schedule(const std::string& name) {
  const bool cosine = name.starts_with("cosine"), cut = name.starts_with("wsdcon");
  const std::string number = name.substr(name.rfind('_') + 1);
  const int steps = cut ? 16000 : std::stoi(number);
  std::vector<double> lr;
  for (int k = 0; k <= steps; ++k) {
    double at = 3e-4;
    if (k < 2160)
      at *= k / 2159.0;
    else if (cosine)
      at = 3e-5 + 1.35e-4 * (1.0 + std::cos(M_PI * (k - 2160) / (steps - 2160)));
    else if (cut && k >= 8000)
      at = 1e-5 * std::stoi(number);
    lr.push_back(at);
  }
  return lr;
}

// One run's losses with the areas at its steps.
void append(const std::string& folder, const std::string& name, Table& table) {
  const Table run = read_table(folder + name + ".csv");
  const std::vector<AnnealingAreas> areas = annealing_areas(schedule(name));
  std::vector<double> S1, S2;
  for (const double step : run.find("step")->values) {
    S1.push_back(areas[static_cast<size_t>(step)].S1);
    S2.push_back(areas[static_cast<size_t>(step)].S2);
  }
  const auto extend = [&](size_t column, const std::vector<double>& values) {
    auto& all = table.columns[column].values;
    all.insert(all.end(), values.begin(), values.end());
  };
  extend(0, S1);
  extend(1, S2);
  extend(2, run.find("loss")->values);
  table.rows = table.columns[0].values.size();
}

Table runs(const std::string& folder, std::initializer_list<const char*> names) {
  Table table;
  for (const char* column : {"S1", "S2", "L"}) table.add(column, {});
  for (const char* name : names) append(folder, name, table);
  return table;
}

double r_squared(const Fit& fit, const Table& table) {
  const auto& loss = table.columns[2].values;
  double mean = 0.0, left = 0.0, all = 0.0;
  for (const double value : loss) mean += value / static_cast<double>(loss.size());
  for (size_t i = 0; i < loss.size(); ++i) {
    const double predicted =
        evaluate_law(*fit.law, fit.values(),
                     std::vector{table.columns[0].values[i], table.columns[1].values[i]});
    left += std::pow(loss[i] - predicted, 2);
    all += std::pow(loss[i] - mean, 2);
  }
  return 1.0 - left / all;
}

}  // namespace

TEST_CASE("annealing: derivatives match finite differences") {
  check_derivatives(annealing_law, {2.628, 0.429, 0.55, 0.411}, {3.0, 0.1});
  check_derivatives(annealing_law, {1.0, 2.0, 0.1, 3.0}, {0.5, 0.02});
}

TEST_CASE("annealing: recovers planted coefficients") {
  check_recovery(annealing_law, 1e-5);
  check_noisy_recovery(annealing_law);
}

TEST_CASE("annealing: areas of a schedule") {
  const std::vector<AnnealingAreas> areas = annealing_areas(std::vector{1.0, 1.0, 0.5, 0.5}, 0.5);
  CHECK(areas[1].S1 == 2.0);
  CHECK(areas[1].S2 == 0.0);
  CHECK(areas[3].S1 == 3.0);
  CHECK(areas[3].S2 == doctest::Approx(0.5 + 0.25));
  CHECK_THROWS_AS(annealing_areas(std::vector{1.0}, 1.0), Error);
}

TEST_CASE("annealing: without a decay the gain is refused") {
  Table table = planted_table(annealing_law, true);
  for (double& area : table.columns[1].values) area = 0.0;
  CHECK(has_refusal(fit_law(table, {.law = "annealing", .bootstrap = 0}), "constant-input"));
}

TEST_CASE("annealing: three curves of 24,000 steps predict 72,000 steps and other cuts") {
  const std::string path = shared_law_data("multi-power/loss_curve_repo/csv_25");
  if (path.empty()) {
    MESSAGE("skipped: no multi-power in RUNG_LAW_DATA or ../shared/data/laws");
    return;
  }
  const std::pair<std::string, double> goldens[] = {
      {"25", 0.00022631250832}, {"100", 0.00012888435632}, {"400", 0.00022488937692}};
  for (const auto& [size, objective] : goldens) {
    CAPTURE(size);
    const std::string folder = shared_law_data("multi-power/loss_curve_repo/csv_" + size) + "/";
    const Fit fit = fit_law(runs(folder, {"cosine_24000", "constant_24000", "wsdcon_9"}),
                            {.law = "annealing", .bootstrap = 0});
    REQUIRE_FALSE(fit.refused());
    CHECK(fit.objective_value <= objective * (1 + 1e-6));
    double mean = 0.0;
    for (const char* test : {"constant_72000", "cosine_72000", "wsdcon_3", "wsdcon_18"}) {
      const double r2 = r_squared(fit, runs(folder, {test}));
      CHECK(r2 > 0.99);
      mean += r2 / 4;
    }
    MESSAGE(size << "M: R2 of the four test curves " << mean);
  }
}
