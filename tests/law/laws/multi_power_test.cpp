#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "law/bind.h"
#include "law/fit.h"
#include "law/fit_json.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/predict_table.h"
#include "law/schedule.h"

using namespace rung;

namespace {

// The published runs' schedules: shared/reference gives the rules, equal to the files' lr columns.
const char* const knots =
    "run,step,lr,shape\n"
    "constant_24000,0,0,linear\nconstant_24000,2159,3e-4,hold\nconstant_24000,24000,3e-4,\n"
    "constant_72000,0,0,linear\nconstant_72000,2159,3e-4,hold\nconstant_72000,72000,3e-4,\n"
    "cosine_24000,0,0,linear\ncosine_24000,2159,3e-4,hold\ncosine_24000,2160,3e-4,cosine\n"
    "cosine_24000,24000,3e-5,\n"
    "cosine_72000,0,0,linear\ncosine_72000,2159,3e-4,hold\ncosine_72000,2160,3e-4,cosine\n"
    "cosine_72000,72000,3e-5,\n"
    "wsd_20000_24000,0,0,linear\nwsd_20000_24000,2159,3e-4,hold\n"
    "wsd_20000_24000,20000,3e-4,exponential\nwsd_20000_24000,24000,3e-5,\n"
    "wsdld_20000_24000,0,0,linear\nwsdld_20000_24000,2159,3e-4,hold\n"
    "wsdld_20000_24000,20000,3e-4,linear\nwsdld_20000_24000,24000,3e-5,\n"
    "wsdcon_3,0,0,linear\nwsdcon_3,2159,3e-4,hold\nwsdcon_3,8000,3e-5,hold\nwsdcon_3,16000,3e-5,\n"
    "wsdcon_9,0,0,linear\nwsdcon_9,2159,3e-4,hold\nwsdcon_9,8000,9e-5,hold\nwsdcon_9,16000,9e-5,\n"
    "wsdcon_18,0,0,linear\nwsdcon_18,2159,3e-4,hold\nwsdcon_18,8000,1.8e-4,hold\n"
    "wsdcon_18,16000,1.8e-4,\n";

const std::vector<std::string> fit_runs{"cosine_24000", "constant_24000", "wsdcon_9"};
const std::vector<std::string> test_runs{"cosine_72000",      "constant_72000", "wsd_20000_24000",
                                         "wsdld_20000_24000", "wsdcon_3",       "wsdcon_18"};

std::shared_ptr<const Table> schedules() {
  return std::make_shared<const Table>(parse_table(knots, TableFormat::csv, "knots.csv"));
}

// A size's runs in one table; no columns where the data are absent.
Table runs_of(const std::string& size, const std::vector<std::string>& names) {
  std::vector<Table> tables;
  for (const std::string& name : names) {
    const std::string path =
        shared_law_data(fmt::format("multi-power/loss_curve_repo/csv_{}/{}.csv", size, name));
    if (path.empty()) return {};
    tables.push_back(read_table(path));
  }
  return join_runs(tables, names);
}

// L0, A, alpha, B, C, beta, gamma as published for 25M, 100M and 400M.
struct Published {
  std::string size;
  std::vector<double> c;
  double r2, mae;
};
const Published published[] = {
    {"25",
     {3.04045406, .52468604, .50786857, 363.78751622, 2.06560812, .58279013, .64142257},
     .9988,
     .00376},
    {"100",
     {2.6514477, .60115152, .45295811, 437.9464276, 2.13245612, .59785199, .65523644},
     .9983,
     .00435},
    {"400",
     {2.37474466, .65421216, .42878731, 523.42464371, 2.02462735, .59350493, .63472457},
     .9978,
     .00484},
};

FitOptions options_for(const std::vector<double>& fixed = {}) {
  FitOptions options{.law = "multi-power", .schedules = schedules(), .bootstrap = 0};
  for (size_t i = 0; i < fixed.size(); ++i)
    options.fixed[std::string(multi_power_law.coefficients[i].name)] = fixed[i];
  options.refuse = fixed.empty();
  return options;
}

// Mean over the six test curves.
Misfit test_misfit(const Fit& fit, const std::string& size) {
  Misfit mean;
  for (const std::string& name : test_runs) {
    const Misfit own = predict_table(fit, runs_of(size, {name}), {}, schedules().get()).misfit;
    mean.r2 += own.r2 / 6;
    mean.mae += own.mae / 6;
    mean.worst_relative = std::max(mean.worst_relative, own.worst_relative);
  }
  return mean;
}

bool absent(const Table& table) {
  if (table.rows == 0) MESSAGE("skipped: no multi-power in RUNG_LAW_DATA or ../shared/data/laws");
  return table.rows == 0;
}

BoundLaw bind_all(const Table& table, const Table* schedules) {
  std::vector<size_t> rows(table.rows);
  std::iota(rows.begin(), rows.end(), size_t{0});
  return multi_power_law.bind(multi_power_law, {table, rows, {}, schedules});
}

// Three small runs, one with a cosine, one with a drop; losses of the given coefficients with
// noise.
Table planted(const std::vector<double>& c, const Table& small, double sd, uint64_t seed) {
  Table table{.rows = 0};
  Column run{.name = "run"};
  std::vector<double> step;
  for (const char* name : {"cosine", "drop", "constant"})
    for (int i = 1; i <= 40; ++i) {
      run.text.emplace_back(name);
      run.values.push_back(std::nan(""));
      step.push_back(100 + 47 * i);
    }
  table.add("step", step);
  table.columns.push_back(run);
  const BoundLaw bound = bind_all(table, &small);
  Random random(seed, "planted");
  std::vector<double> loss;
  for (size_t row = 0; row < table.rows; ++row) {
    const double x[] = {bound.inputs.at("run")[row], step[row]};
    loss.push_back(evaluate_law(*bound.law, c, x) * std::exp(sd * random.normal()));
  }
  table.add("loss", loss);
  return table;
}

Table small_schedules() {
  return parse_table(
      "run,step,lr,shape\ncosine,0,0,linear\ncosine,100,1e-3,cosine\ncosine,2000,1e-4,\n"
      "drop,0,0,linear\ndrop,100,1e-3,hold\ndrop,1000,2e-4,hold\ndrop,2000,2e-4,\n"
      "constant,0,0,linear\nconstant,100,1e-3,hold\nconstant,2000,1e-3,\n",
      TableFormat::csv);
}

}  // namespace

TEST_CASE("multi-power: derivatives match finite differences") {
  const Table small = small_schedules();
  const Table table = planted({2.5, 0.6, 0.45, 100, 2.0, 0.6, 0.65}, small, 0.0, 1);
  const BoundLaw bound = bind_all(table, &small);
  check_derivatives(*bound.law, {2.5, 0.6, 0.45, 100.0, 2.0, 0.6, 0.65}, {1, 1980});
  check_derivatives(*bound.law, {2.5, 0.9, 0.3, 50.0, 0.7, 1.3, 0.4}, {2, 1040});
  check_derivatives(*bound.law, {2.5, 0.9, 0.3, 50.0, 0.7, 1.3, 0.4}, {2, 1041});
}

TEST_CASE("multi-power: recovers planted coefficients") {
  const std::vector<double> truth{2.5, 0.6, 0.45, 100.0, 2.0, 0.6, 0.65};
  const auto small = std::make_shared<const Table>(small_schedules());
  // Without any noise the objective has no floor to converge to.
  const Table clean = planted(truth, *small, 1e-5, 1);
  FitOptions options{.law = "multi-power", .schedules = small, .bootstrap = 0};
  const Fit exact = fit_law(clean, options);
  REQUIRE_FALSE(exact.refused());
  for (size_t i = 0; i < truth.size(); ++i) {
    CAPTURE(exact.coefficients[i].name);
    CHECK(exact.values()[i] == doctest::Approx(truth[i]).epsilon(0.05));
  }
  options.bootstrap = 40;
  options.refuse = false;
  const Fit noisy = fit_law(planted(truth, *small, 0.001, 2), options);
  CHECK(noisy.values()[0] == doctest::Approx(2.5).epsilon(0.05));
  CHECK(noisy.coefficients[0].lo < noisy.coefficients[0].hi);
  CHECK(noisy.checklist.at("fitting").at("interval") == "block bootstrap");
  const TablePrediction again =
      predict_table(fit_from_json(fit_to_json(noisy)), clean, {}, small.get());
  CHECK(again.misfit.worst_relative < 0.002);
  CHECK(again.rows.front().lo < again.rows.front().hi);
}

TEST_CASE("multi-power: refuses runs that do not determine the drop") {
  const auto small = std::make_shared<const Table>(small_schedules());
  const Table all = planted({2.5, 0.6, 0.45, 100.0, 2.0, 0.6, 0.65}, *small, 0.001, 3);
  FitOptions options{.law = "multi-power", .schedules = small, .bootstrap = 0};
  options.where = "run == 'constant'";
  const Fit fit = fit_law(all, options);
  CHECK(fit.refused());
  REQUIRE_FALSE(fit.diagnostics.empty());
  CHECK(fit.diagnostics.front().code == "constant-rate");
}

TEST_CASE("multi-power: usage") {
  const Table small = small_schedules();
  const auto fails = [](const Table& table, const Table* schedules) {
    try {
      bind_all(table, schedules);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const Table unknown =
      parse_table("run,step,lr,loss\nconsine,50,1,3\ncosine,60,1,3\n", TableFormat::csv);
  CHECK(fails(unknown, &small).find("The nearest is cosine") != std::string::npos);
  const Table late =
      parse_table("run,step,lr,loss\ncosine,50,1,3\ndrop,6000,1,3\n", TableFormat::csv);
  CHECK(fails(late, &small).find("the schedule's last, 2000") != std::string::npos);
  const double x[] = {1.0, 10.0};
  const std::vector<double> c(7, 0.5);
  CHECK_THROWS_AS(evaluate_law(multi_power_law, c, x), Error);
}

TEST_SUITE("slow") {
  TEST_CASE("multi-power: published parameters give the published test metrics") {
    for (const Published& golden : published) {
      const Table table = runs_of(golden.size, fit_runs);
      if (absent(table)) return;
      const Fit fit = fit_law(table, options_for(golden.c));
      const Misfit misfit = test_misfit(fit, golden.size);
      CAPTURE(golden.size);
      CHECK(misfit.r2 == doctest::Approx(golden.r2).epsilon(6e-5));
      CHECK(misfit.mae == doctest::Approx(golden.mae).epsilon(2e-3));
    }
  }

  TEST_CASE("multi-power: the fit is no worse than the published parameters") {
    for (const Published& golden : published) {
      const Table table = runs_of(golden.size, fit_runs);
      if (absent(table)) return;
      const Fit theirs = fit_law(table, options_for(golden.c));
      FitOptions options = options_for();
      options.bootstrap = 100;
      options.threads = 2;
      const Fit ours = fit_law(table, options);
      CAPTURE(golden.size);
      REQUIRE_FALSE(ours.refused());
      CHECK(ours.objective_value <= theirs.objective_value * (1 + 1e-6));
      const Misfit misfit = test_misfit(ours, golden.size);
      MESSAGE(golden.size << "M: objective " << ours.objective_value << " (published parameters "
                          << theirs.objective_value << "), test R2 " << misfit.r2 << ", MAE "
                          << misfit.mae << ", worst " << misfit.worst_relative << ", fit and 100 "
                          << "block bootstraps " << ours.seconds << " s");
      CHECK(misfit.mae < 0.01);
    }
  }
}
