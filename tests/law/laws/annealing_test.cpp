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

namespace {

// Runs of 600 steps with a loss planted every 10: by their rates (step, lr, run) or by their areas.
struct PlantedRuns {
  Table by_rate, by_area;
};

PlantedRuns planted_runs() {
  std::vector<double> step, lr, loss, S1, S2;
  Column run{.name = "run"};
  for (int cooldown : {0, 100, 300}) {
    std::vector<double> rates;
    for (int k = 0; k <= 600; ++k) {
      const double fall = cooldown ? std::max(0.0, (k - 600.0 + cooldown) / cooldown) : 0.0;
      rates.push_back(k < 30 ? 0.01 * k / 30.0 : 0.01 * (1.0 - 0.9 * fall));
    }
    const std::vector<AnnealingAreas> areas = annealing_areas(rates);
    for (int k = 1; k <= 600; ++k) {
      const AnnealingAreas at = areas[static_cast<size_t>(k)];
      const bool measured = k % 10 == 0;
      step.push_back(k);
      lr.push_back(rates[static_cast<size_t>(k)]);
      loss.push_back(measured ? 2.5 + 0.6 * std::pow(at.S1, -0.45) - 0.5 * at.S2 : std::nan(""));
      S1.push_back(at.S1), S2.push_back(at.S2);
      run.values.push_back(std::nan("")), run.text.push_back(fmt::format("cooldown {}", cooldown));
    }
  }
  PlantedRuns result;
  result.by_rate.add("step", step);
  result.by_rate.add("lr", lr);
  result.by_rate.add("loss", loss);
  result.by_rate.columns.push_back(run);
  result.by_area.add("S1", S1);
  result.by_area.add("S2", S2);
  result.by_area.add("loss", loss);
  return result;
}

}  // namespace

TEST_CASE("annealing: the areas follow from the runs' rates where the table has none") {
  const PlantedRuns runs = planted_runs();
  const FitOptions options{.law = "annealing", .where = "loss > 0", .bootstrap = 0};
  const Fit by_rate = fit_law(runs.by_rate, options), by_area = fit_law(runs.by_area, options);
  REQUIRE_FALSE(by_rate.refused());
  REQUIRE_FALSE(by_area.refused());
  for (size_t k = 0; k < 4; ++k)
    CHECK(by_rate.values()[k] == doctest::Approx(by_area.values()[k]).epsilon(1e-6));
  CHECK(by_rate.values()[2] == doctest::Approx(0.45).epsilon(1e-3));
  CHECK(by_rate.values()[3] == doctest::Approx(0.5).epsilon(1e-3));
}

TEST_CASE("annealing: a table with neither areas nor rates says what it lacks") {
  Table table;
  table.add("step", {1, 2, 3, 4, 5, 6});
  table.add("loss", {3.0, 2.9, 2.8, 2.7, 2.6, 2.5});
  CHECK_THROWS_WITH_AS(fit_law(table, {.law = "annealing"}), doctest::Contains("no column lr"),
                       Error);
}
