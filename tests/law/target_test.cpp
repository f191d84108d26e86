// Laws of another target than the loss, with other domains of inputs and objectives of their own.
#include <doctest/doctest.h>

#include "core/error.h"
#include "core/random.h"
#include "law/fit.h"
#include "law/fit_json.h"
#include "law/formula.h"
#include "law/solve.h"
#include "law/start.h"

using namespace rung;

namespace {

// score = a + b x + c y: a linear law whose target and inputs may be negative or zero.
struct Plane {
  static constexpr int coefficients = 3, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    const auto& [a, b, slope] = c;
    return a + b * x[0] + slope * x[1];
  }
};
constexpr std::string_view plane_inputs[] = {"x", "y"};
constexpr Coefficient plane_coefficients[] = {
    {.name = "a", .meaning = "level", .linear = true},
    {.name = "b", .meaning = "slope in x", .linear = true},
    {.name = "c", .meaning = "slope in y", .linear = true},
};
constexpr InputRule plane_rules[] = {{.domain = Domain::real}, {.domain = Domain::non_negative}};
constinit const Law plane_law = {.name = "plane",
                                 .formula = "score = a + b x + c y",
                                 .inputs = plane_inputs,
                                 .coefficients = plane_coefficients,
                                 .evaluate = evaluate_formula<Plane>,
                                 .target = "score",
                                 .objective = "huber",
                                 .input_rules = plane_rules};

Table plane_table() {
  Table table;
  std::vector<double> x, y, score;
  Random random(1, "plane");
  for (int i = 0; i < 40; ++i) {
    x.push_back(i % 8 - 4.0);
    y.push_back(i / 8);
    score.push_back(-0.5 + 0.25 * x.back() - 0.125 * y.back() + 1e-3 * random.normal());
  }
  table.add("x", x);
  table.add("y", y);
  table.add("points", score);
  return table;
}

const FitOptions plane_options{.columns = {{"x", "x"}, {"score", "points"}}, .bootstrap = 200};

std::string message(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("target: negative targets and inputs at zero, the law's own objective") {
  const Fit fit = fit_law(plane_law, plane_table(), plane_options);
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.objective.name == "huber");
  CHECK(fit.diagnostics.empty());
  CHECK(std::fabs(fit.values()[0] + 0.5) < 2e-3);
  CHECK(std::fabs(fit.values()[1] - 0.25) < 5e-4);
  CHECK(std::fabs(fit.values()[2] + 0.125) < 1e-3);
  CHECK(fit.residual_rms > 0.6e-3);
  CHECK(fit.residual_rms < 1.5e-3);
  const Prediction at = predict(fit, {{"x", 0.0}, {"y", 0.0}}, 0.9);
  CHECK(at.target == "score");
  CHECK(at.lo < -0.5);
  CHECK(at.hi > -0.5);
  CHECK(at.hi - at.lo < 0.01);
  CHECK(prediction_to_json(at).contains("score"));
  CHECK(message([&] {
          predict(fit, {{"x", 0.0}, {"y", -1.0}}, 0.9);
        }).find("not negative") != std::string::npos);
}

TEST_CASE("target: a log objective needs a positive target, a missing target is named") {
  FitOptions options = plane_options;
  options.objective = "huber-log";
  CHECK(message([&] { fit_law(plane_law, plane_table(), options); }).find("positive") !=
        std::string::npos);
  options.columns = {{"x", "x"}};
  CHECK(message([&] { fit_law(plane_law, plane_table(), options); }).find("score=COLUMN") !=
        std::string::npos);
}
