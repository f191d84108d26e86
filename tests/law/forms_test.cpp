#include "law/forms.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "law/fit_json.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

// Ten rungs along one path, three seeds each: L = 1.5 + 90 x^-0.3.
Table path(double sd) {
  Table table;
  std::vector<double> x, loss;
  Random random(5, "forms");
  for (int i = 0; i < 10; ++i)
    for (int seed = 0; seed < 3; ++seed) {
      x.push_back(1e6 * std::pow(3.0, i));
      loss.push_back(evaluate_law(power_law, std::vector{1.5, 90.0, 0.3}, std::vector{x.back()}) *
                     std::exp(sd * random.normal()));
    }
  table.add("x", x);
  table.add("L", loss);
  return table;
}

// A power law with its irreducible loss free, and one that holds it at `e`.
std::vector<FitOptions> free_and_held(double e) {
  FitOptions free{.law = "power", .columns = {{"x", "x"}}, .bootstrap = 100}, held = free;
  held.fixed = {{"E", e}};
  return {free, held};
}

}  // namespace

TEST_CASE("forms: the form that predicts the largest rungs gets the weight") {
  const Forms forms = fit_forms(path(0.001), free_and_held(0.0));
  CHECK(forms.order == "x");
  CHECK(forms.best == 0);
  CHECK(forms.forms[0].weight > 0.95);
  CHECK(forms.forms[1].rollout_error > 5 * forms.forms[0].rollout_error);
}

TEST_CASE("forms: the mixture holds all sources and survives its JSON") {
  const Forms forms = fit_forms(path(0.003), free_and_held(1.48));
  CHECK(forms.forms[0].weight + forms.forms[1].weight == doctest::Approx(1.0));
  CHECK(std::min(forms.forms[0].weight, forms.forms[1].weight) > 0.01);
  const Json json = Json::parse(forms_to_json(forms).dump());
  CHECK(json["law"] == "power");
  CHECK(fit_from_json(json).values() == forms.forms[forms.best].fit.values());
  const Forms read = forms_from_json(json);
  const Point at = {{"x", 1e12}};
  const Prediction a = predict_forms(forms, at, 0.9), b = predict_forms(read, at, 0.9);
  CHECK(a.loss == doctest::Approx(b.loss).epsilon(1e-12));
  CHECK(a.lo == doctest::Approx(b.lo).epsilon(1e-12));
  CHECK(a.lo < a.loss);
  CHECK(a.hi > a.loss);
  for (const char* source : {"coefficients", "noise", "form", "rollout"})
    CHECK(b.sources.contains(source));
  CHECK(b.sources.at("form") > 0.0);
  CHECK(b.outside.at("x") / (1e6 / std::pow(3.0, 9)) == doctest::Approx(1.0));
}

TEST_CASE("forms: one fit is one form, unlike targets are told apart") {
  const Forms single = forms_from_json(fit_to_json(fit_law(path(0.003), free_and_held(1.5)[0])));
  CHECK(single.forms.size() == 1);
  CHECK(predict_forms(single, {{"x", 1e9}}, 0.9).loss ==
        predict(single.forms[0].fit, {{"x", 1e9}}, 0.9).loss);
  std::vector<FitOptions> unlike = free_and_held(1.5);
  unlike[1].objective = "huber";
  CHECK_THROWS_AS(fit_forms(path(0.003), unlike), Error);
}
