#include "law/fit_json.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "law/law_data.h"

using namespace rung;

TEST_CASE("fit.json: carries the stable keys and predicts like the fit it came from") {
  const Fit fit = fit_law(read_table(law_data("chinchilla-kyo/df.csv")), {.bootstrap = 50});
  const Json json = Json::parse(fit_to_json(fit).dump());
  for (const char* key : {"status", "law", "objective", "points", "coefficients", "level",
                          "diagnostics", "checklist", "seconds", "data_sha256"})
    CHECK(json.contains(key));
  CHECK(json["status"] == "fitted");
  CHECK(json["objective"]["value"].get<double>() == fit.objective_value);
  CHECK(json["coefficients"]["alpha"]["se"].get<double>() > 0.0);
  CHECK(json["checklist"]["data"]["rows_used"] == 234);
  CHECK(json["checklist"]["goodness"]["r2_log"].get<double>() > 0.9);
  const Fit read = fit_from_json(json);
  const Point at = {{"N", 7e9}, {"D", 1.4e12}};
  const Prediction a = predict(fit, at, 0.9), b = predict(read, at, 0.9);
  CHECK(a.loss == b.loss);
  CHECK(a.lo == b.lo);
  CHECK(a.hi == b.hi);
  CHECK(a.lo < a.loss);
  CHECK(a.extrapolation.at("D") == doctest::Approx(1.4e12 / 317754489344));
  CHECK(a.extrapolation.contains("C"));
}

TEST_CASE("fit.json: a refused fit refuses to predict, other JSON is named") {
  Table table;
  table.add("N", {1e6, 2e6});
  table.add("D", {1e8, 2e9});
  table.add("L", {3.0, 2.0});
  const Fit fit = fit_law(table, {});
  const Json json = fit_to_json(fit);
  CHECK(json["status"] == "refused");
  CHECK(json["diagnostics"][0]["severity"] == "refusal");
  // What was never fitted has no goodness.
  for (const auto& [name, value] : json["checklist"]["goodness"].items()) CHECK(value.is_null());
  CHECK(json["checklist"]["fitting"]["hessian_condition"].is_null());
  try {
    predict(fit_from_json(json), {{"N", 1e7}, {"D", 1e9}});
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.kind == Failure::refused);
  }
  CHECK_THROWS_AS(fit_from_json(Json{{"law", "power"}}), Error);
  CHECK_THROWS_WITH_AS(fit_from_json(Json{{"a", 1}}, "a.json"),
                       "[fit] a.json is no fit: key 'law' not found. Write one with `rung fit "
                       "TABLE.csv --out FIT.json`.",
                       Error);
}

TEST_CASE("predict: inputs are checked") {
  const Fit fit = fit_law(read_table(law_data("chinchilla-kyo/df.csv")), {.bootstrap = 0});
  CHECK_THROWS_AS(predict(fit, {{"N", 7e9}}), Error);
  CHECK_THROWS_AS(predict(fit, {{"N", 7e9}, {"D", -1.0}}), Error);
  CHECK_THROWS_AS(predict(fit, {{"N", 7e9}, {"D", 1e9}, {"Q", 1.0}}), Error);
  CHECK(predict_loss(fit, {{"N", 7e9}, {"C", 6 * 7e9 * 1.4e12}}) ==
        doctest::Approx(predict_loss(fit, {{"N", 7e9}, {"D", 1.4e12}})));
}
