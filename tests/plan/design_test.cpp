#include "plan/design.h"

#include <doctest/doctest.h>

#include "law/uncertainty.h"
#include "plan/design_json.h"
#include "plan/information.h"
#include "planted_fit.h"

using namespace rung;

namespace {

const Point target{{"N", 3e9}, {"D", 6e10}, {"C", 6 * 3e9 * 6e10}};

// A ladder of the planted law with noise, and further runs if given.
Table ladder(uint64_t seed, const std::vector<Point>& further = {}, double noise = 0.004) {
  Random random(seed, "design");
  std::vector<double> n, d, loss;
  const auto add = [&](double size, double tokens) {
    n.push_back(size);
    d.push_back(tokens);
    loss.push_back(planted::loss_at(size, tokens) * std::exp(noise * random.normal()));
  };
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 6; ++j) add(1e7 * std::pow(2.0, i), 5e8 * std::pow(2.0, j));
  for (const Point& at : further) add(at.at("N"), at.at("D"));
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  return table;
}

FitOptions fit_options(int bootstrap) {
  return {.objective = "least-squares", .bootstrap = bootstrap, .threads = 1, .refuse = false};
}

// Spread of the law at the target over refits of fresh ladders with the runs in.
double actual_deviation(const std::vector<Point>& further, int ladders) {
  std::vector<double> logs;
  for (int i = 0; i < ladders; ++i)
    logs.push_back(std::log(predict_loss(
        fit_law(ladder(1000 + static_cast<uint64_t>(i), further), fit_options(0)), target)));
  return 0.5 * (quantile(logs, 0.841345) - quantile(logs, 0.158655));
}

std::vector<Point> points_of(const Design& design) {
  std::vector<Point> points;
  for (const DesignRun& run : design.runs) points.push_back(run.at);
  return points;
}

}  // namespace

TEST_CASE("design: a law linear in its coefficients, in closed form") {
  // y = k x^a in logs: the covariance of (ln k, a) is known, and so is what a run adds.
  Fit fit = planted::fit_of(kaplan_size_law, {8.8e13, 0.076});
  fit.inputs = {"N"};
  fit.objective = find_objective("least-squares");
  fit.samples.clear();
  Random random(1, "linear");
  for (int s = 0; s < 4000; ++s)
    fit.samples.push_back(
        {8.8e13 * std::exp(0.3 * random.normal()), 0.076 + 0.004 * random.normal()});
  fit.noise = {-0.01, -0.01, 0.01, 0.01};
  const Information information(fit);
  const auto slope = [](double n) {
    return Eigen::Vector2d(0.076, std::log(8.8e13 / n));  // of ln L in (ln N_c, alpha_N)
  };
  const Eigen::Vector2d sd(0.3, 0.004);
  for (const double n : {1e7, 1e10}) {
    const Eigen::Vector2d expected = slope(n).cwiseProduct(sd);
    CHECK(information.gradient({{"N", n}}).norm() ==
          doctest::Approx(expected.norm()).epsilon(0.05));
  }
  CHECK(effective_deviation(fit) == doctest::Approx(0.01));
}

TEST_CASE("design: criteria do what they say and hold the budget") {
  const Fit fit = fit_law(ladder(1), fit_options(200));
  REQUIRE_FALSE(fit.samples.empty());
  DesignOptions options{.runs = 4, .target = target, .max_run_flops = 1e20, .flops = 2e20};
  const Design aimed = design_runs(fit, options);
  options.criterion = Criterion::determinant;
  const Design broad = design_runs(fit, options);
  CHECK(aimed.sd_ratio <= broad.sd_ratio + 1e-9);
  CHECK(broad.log_determinant >= aimed.log_determinant - 1e-9);
  for (const Design& design : {aimed, broad}) {
    CHECK(design.runs.size() == 4);
    CHECK(design.flops <= 2e20 * (1 + 1e-9));
    double sum = 0.0, share = 0.0;
    for (const DesignRun& run : design.runs) {
      CHECK(run.flops <= 1e20);
      CHECK(run.flops == doctest::Approx(6 * run.at.at("N") * run.at.at("D")));
      sum += run.flops;
      share += run.share;
    }
    CHECK(sum == doctest::Approx(design.flops));
    CHECK(1.0 - share == doctest::Approx(design.sd_ratio * design.sd_ratio));
    CHECK(design.after.min > design.before.min);
    CHECK(design.after.max < design.before.max);
  }
  // Runs that may cost more tell more.
  options.criterion = Criterion::target;
  options.max_run_flops = 1e18;
  CHECK(design_runs(fit, options).sd_ratio > aimed.sd_ratio);
  const Json json = design_to_json(aimed, options);
  CHECK(json["runs"].size() == 4);
  CHECK(json["before"]["lo"] < json["after"]["lo"]);
}

TEST_CASE("design: candidates of one's own, and bad ones") {
  const Fit fit = fit_law(ladder(1), fit_options(100));
  DesignOptions options{.runs = 1, .target = target, .flops = 1e21};
  const auto at = [](double n, double d) { return Point{{"N", n}, {"D", d}, {"C", 6 * n * d}}; };
  // A run at the target itself tells more of it than the smallest of the ladder.
  options.candidates = {at(1e7, 5e8), at(1e9, 4e10)};
  CHECK(design_runs(fit, options).runs.at(0).at.at("N") == 1e9);
  options.candidates = {at(1e11, 1e13)};
  CHECK(planted::failure_of([&] { design_runs(fit, options); }).first == Failure::usage);
  options.candidates = {{{"N", 1e8}}};
  CHECK(planted::failure_of([&] { design_runs(fit, options); }).first == Failure::usage);
  Fit bare = fit;
  bare.samples.clear();
  options.candidates = {};
  CHECK(planted::failure_of([&] { design_runs(bare, options); }).first == Failure::refused);
  options.runs = 0;
  CHECK(planted::failure_of([&] { design_runs(fit, options); }).first == Failure::usage);
}

TEST_SUITE("slow") {
  TEST_CASE("design: refits spread as predicted, and less than after random runs of equal cost") {
    const double before = actual_deviation({}, 300);
    const Fit fit = fit_law(ladder(1), fit_options(1000));
    const Design design =
        design_runs(fit, {.runs = 4, .target = target, .max_run_flops = 2e19, .flops = 4e19});
    const double after = actual_deviation(points_of(design), 300);
    CAPTURE(before);
    CAPTURE(after);
    CAPTURE(design.sd_ratio);
    CHECK(after / before == doctest::Approx(design.sd_ratio).epsilon(0.25));
    // Random candidates: as many as the same FLOPs buy. None is predicted to do better, and they
    // do worse.
    const std::vector<Point> grid = candidate_grid(fit, target, 2e19);
    Random random(5, "rivals");
    std::vector<double> rivals;
    for (int trial = 0; trial < 6; ++trial) {
      std::vector<Point> chosen;
      double left = design.flops;
      for (int draw = 0; draw < 200 && chosen.size() < 4; ++draw) {
        const Point& at = grid[random.below(grid.size())];
        if (at.at("C") > left) continue;
        left -= at.at("C");
        chosen.push_back(at);
      }
      const Design best_of_them = design_runs(
          fit, {.runs = 4, .target = target, .candidates = chosen, .flops = design.flops});
      CHECK(best_of_them.sd_ratio >= design.sd_ratio);
      rivals.push_back(actual_deviation(chosen, 150));
    }
    CHECK(after < 0.95 * quantile(rivals, 0.5));
  }
}
