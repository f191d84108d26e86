#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

Fit fit_file(const char* file, const FitOptions& options) {
  return fit_law(read_table(law_data(file)), options);
}

double value(const Fit& fit, const char* name) {
  return fit.values()[find_coefficient(*fit.law, name)];
}

FitOptions without_resampling(const char* where = "") {
  FitOptions options;
  options.where = where;
  options.bootstrap = 0;
  return options;
}

}  // namespace

TEST_CASE("chinchilla: derivatives match finite differences") {
  check_derivatives(chinchilla_law, {1.8, 480.0, 2100.0, 0.34, 0.37}, {1e9, 2e10});
  check_derivatives(chinchilla_law, {0.5, 20.0, 30.0, 0.12, 0.9}, {1e5, 3e6});
}

TEST_CASE("chinchilla: the Epoch golden, 240 rows") {
  const Fit fit = fit_file("chinchilla-epoch/points.csv", without_resampling(epoch_filter));
  CHECK(fit.points == 240);
  CHECK(fit.objective_value <= 0.0010182741);
  CHECK(fit.objective_value == doctest::Approx(0.00101827401780).epsilon(1e-9));
  CHECK(value(fit, "A") == doctest::Approx(477.83).epsilon(1e-4));
  CHECK(value(fit, "B") == doctest::Approx(2143.4).epsilon(1e-4));
  CHECK(value(fit, "E") == doctest::Approx(1.81722).epsilon(1e-5));
  CHECK(value(fit, "alpha") == doctest::Approx(0.347311).epsilon(1e-5));
  CHECK(value(fit, "beta") == doctest::Approx(0.367172).epsilon(1e-5));
}

TEST_CASE("chinchilla: the Epoch golden, all 245 rows") {
  const Fit fit = fit_file("chinchilla-epoch/points.csv", without_resampling());
  CHECK(fit.objective_value <= 0.00182601052 * (1 + 1e-8));
  CHECK(value(fit, "B") == doctest::Approx(12846).epsilon(1e-3));
  CHECK(value(fit, "E") == doctest::Approx(1.8913).epsilon(1e-4));
  CHECK(value(fit, "beta") == doctest::Approx(0.4530).epsilon(1e-3));
}

TEST_CASE("chinchilla: the kyo goldens") {
  const Fit huber = fit_file("chinchilla-kyo/df.csv", without_resampling());
  CHECK(huber.objective_value <= 0.00084009312 * (1 + 1e-8));
  CHECK(value(huber, "E") == doctest::Approx(1.78389).epsilon(1e-5));
  CHECK(value(huber, "A") == doctest::Approx(442.16).epsilon(1e-4));
  CHECK(value(huber, "B") == doctest::Approx(1271.8).epsilon(1e-4));
  FitOptions options = without_resampling();
  options.objective = "mae-asymmetric";
  const Fit bound = fit_file("chinchilla-kyo/df.csv", options);
  CHECK(bound.objective_value <= 0.0227819 * (1 + 1e-6));
  CHECK(value(bound, "E") == doctest::Approx(1.7002).epsilon(1e-3));
  CHECK(value(bound, "A") == doctest::Approx(184.7).epsilon(2e-3));
  CHECK(value(bound, "B") == doctest::Approx(1633).epsilon(2e-3));
  CHECK(value(bound, "alpha") == doctest::Approx(0.2890).epsilon(1e-3));
  CHECK(value(bound, "beta") == doctest::Approx(0.3558).epsilon(1e-3));
}

TEST_CASE("chinchilla: the OLMo ladder golden") {
  const std::string path = shared_law_data("olmo-ladder/ladder_c4_loss_derived.csv");
  if (path.empty()) {
    MESSAGE("skipped: no olmo-ladder in RUNG_LAW_DATA or ../shared/data/laws");
    return;
  }
  FitOptions options = without_resampling("split == 'train'");
  options.columns["L"] = "c4_loss_last5avg";
  const Fit fit = fit_law(read_table(path), options);
  CHECK(fit.points == 16);
  CHECK(fit.objective_value <= 3.29985720e-5 * (1 + 1e-6));
  CHECK(value(fit, "E") == doctest::Approx(0.9344).epsilon(1e-3));
  CHECK(value(fit, "alpha") == doctest::Approx(0.1036).epsilon(1e-3));
  CHECK(value(fit, "beta") == doctest::Approx(0.1620).epsilon(1e-3));
}

TEST_CASE(
    "chinchilla: the OLMo ladder extrapolates as far as its reference, and misses as it does") {
  const std::string path = shared_law_data("olmo-ladder/ladder_c4_loss_derived.csv");
  if (path.empty()) {
    MESSAGE("skipped: no olmo-ladder in RUNG_LAW_DATA or ../shared/data/laws");
    return;
  }
  const Table table = read_table(path);
  FitOptions options = without_resampling("split == 'train'");
  options.columns["L"] = "c4_loss_last5avg";
  const Fit fit = fit_law(table, options);
  // The relative error of the law at each run beyond the 16 that it was fitted to.
  std::vector<double> three_billion, targets, predictions;
  for (size_t row = 0; row < table.rows; ++row) {
    const double measured = table.find("c4_loss_last5avg")->values[row];
    const double law =
        evaluate_law(chinchilla_law, fit.values(),
                     std::vector{table.find("N")->values[row], table.find("D")->values[row]});
    const std::string& split = table.find("split")->text[row];
    if (split == "eval3B") three_billion.push_back(100 * (law / measured - 1));
    if (split != "target") continue;
    targets.push_back(100 * (law / measured - 1));
    predictions.push_back(law);
  }
  REQUIRE(three_billion.size() == 5);
  REQUIRE(targets.size() == 2);
  const double published[] = {-3.4, -1.8, -1.0, -0.6, -1.0};
  for (int i = 0; i < 5; ++i) CHECK(std::fabs(three_billion[i] - published[i]) < 0.06);
  CHECK(predictions[0] == doctest::Approx(2.4337).epsilon(5e-5));
  CHECK(predictions[1] == doctest::Approx(2.3444).epsilon(5e-5));
  CHECK(std::fabs(targets[0] + 2.0) < 0.06);
  CHECK(std::fabs(targets[1] + 3.8) < 0.06);
}

TEST_CASE("chinchilla: bootstrap deviations near the published ones, whatever the threads") {
  FitOptions options = without_resampling(epoch_filter);
  options.bootstrap = 4000;
  options.threads = 2;
  const Fit fit = fit_file("chinchilla-epoch/points.csv", options);
  MESSAGE("4000 bootstraps: " << fit.seconds << " s");
  const double published[] = {0.02566, 124.52, 1293.28, 0.01540, 0.02060};
  for (int i = 0; i < 5; ++i) {
    CAPTURE(fit.coefficients[i].name);
    CHECK(fit.coefficients[i].se == doctest::Approx(published[i]).epsilon(0.15));
    CHECK(fit.coefficients[i].lo < fit.coefficients[i].value);
    CHECK(fit.coefficients[i].hi > fit.coefficients[i].value);
  }
  options.bootstrap = 50;
  options.threads = 1;
  const Fit alone = fit_file("chinchilla-epoch/points.csv", options);
  for (int i = 0; i < 50; ++i) CHECK(alone.samples[i] == fit.samples[i]);
}
