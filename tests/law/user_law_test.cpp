#include "law/user_law.h"

#include <doctest/doctest.h>

#include <chrono>

#include "core/error.h"
#include "law/fit_json.h"
#include "law/formula_tree.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

Json chinchilla_text() {
  return Json::parse(R"({
    "name": "mine", "formula": "L = E + A/N^alpha + B/D^beta", "unit": "nats",
    "inputs": {"N": "parameters", "D": "tokens"},
    "coefficients": {"E": {"lo": 0, "unit": "nats"}, "A": {"scale": "log"}, "B": {"scale": "log"},
      "alpha": {"lo": 0.005, "hi": 3, "grid": [0.05, 0.95, 32]},
      "beta": {"lo": 0.005, "hi": 3, "grid": [0.05, 0.95, 32]}}})");
}

// A law of one formula over inputs x (unit a) and y (unit b), every coefficient with a grid.
std::shared_ptr<const Law> law_of(const std::string& formula, const std::string& unit = "") {
  Json json = {{"formula", formula}, {"unit", unit}, {"inputs", {{"x", "a"}, {"y", "b"}}}};
  const std::vector<std::string> inputs{"x", "y"};
  for (const std::string& name : parse_formula(formula, inputs).coefficients)
    json["coefficients"][name] = {{"grid", {0.1, 1.0, 4}}};
  return make_law(json, "test.toml");
}

std::string error_of(const Json& json) {
  try {
    make_law(json, "test.toml");
  } catch (const Error& error) {
    CHECK(error.kind == Failure::usage);
    return error.what();
  }
  return "";
}

std::string formula_error(const std::string& formula, const std::string& unit = "") {
  try {
    law_of(formula, unit);
  } catch (const Error& error) {
    CHECK(error.kind == Failure::usage);
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("user law: values and derivatives of every operator and function") {
  check_derivatives(*law_of("k*x^2/y - -c*(x - 3*d)**p + log(x/c)*exp(-k) + sqrt(c*x)"),
                    {0.7, 0.2, 0.3, 0.4}, {2.0, 5.0});
  check_derivatives(*law_of("a + sigmoid(b*(x - c)) + tanh(b*y) + log10(a*x) + log2(c)^a/b"),
                    {0.7, 0.3, 1.7}, {2.0, 5.0});
  check_derivatives(*law_of("2^-(a*x) + abs(b - c*y) + c/(d + x)^(a + b)"), {0.7, 0.3, 1.7, 0.2},
                    {2.0, 5.0});
  const double c[] = {0.5, 2.0}, x[] = {4.0, 3.0};
  CHECK(evaluate_law(*law_of("a*x^2^0.5 - b*-y"), c, x) ==
        doctest::Approx(0.5 * std::pow(4.0, std::sqrt(2.0)) + 6.0));
  CHECK(evaluate_law(*law_of("a - b - x / y / 2"), c, x) == doctest::Approx(-1.5 - 2.0 / 3.0));
}

TEST_CASE("user law: eight and more coefficients keep the layout of the derivatives") {
  check_derivatives(*law_of("a + b*x^c + d*y^e + f*(x/y)^g + h*log(x/a)^i"),
                    {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, {2.0, 5.0});
}

TEST_CASE("user law: linear coefficients are found") {
  const std::vector<std::string> inputs{"x", "y"};
  const auto linear = [&](const char* formula) {
    return linear_coefficients(parse_formula(formula, inputs));
  };
  using Flags = std::vector<bool>;
  CHECK(linear("E + A/x^alpha + B/y^beta") == Flags{true, true, false, true, false});
  // k (A + B x): A and B are linear together, k with neither.
  CHECK(linear("k*(A + B*x)") == Flags{false, true, true});
  CHECK(linear("exp(a*x)/b - c") == Flags{false, false, true});
  CHECK(linear("(a + x)^2 + a^1*y") == Flags{false});
}

TEST_CASE("user law: syntax errors name the character") {
  CHECK(holds(formula_error("E + A/x^"), "ends too early at character 9"));
  CHECK(holds(formula_error("E + (A/x"), "parenthesis is not closed at character 9"));
  CHECK(holds(formula_error("E + A $ x"), "Unexpected character at character 7"));
  CHECK(holds(formula_error("E + lgo(A*x)"), "Unknown function lgo (the nearest is log)"));
  CHECK(holds(formula_error("E A"), "Unexpected text at character 3"));
  CHECK(holds(formula_error("x + 1"), "no coefficient"));
  CHECK(holds(formula_error("E + 'a'"), "holds no text"));
  CHECK(holds(formula_error(std::string(3000, '(') + "E"), "too long"));
}

TEST_CASE("user law: units") {
  CHECK(formula_error("E + A/x^alpha + B/y^beta") == "");
  CHECK(formula_error("E + A*exp(-k*x)*log(x/c)") == "");
  CHECK(formula_error("k*sqrt(x*x)/x*2") == "");
  CHECK(holds(formula_error("k*(x + y)"), "a and b cannot be added at character 6"));
  CHECK(holds(formula_error("k*(x - x^2)"), "a and a^2 cannot be subtracted at character 6"));
  CHECK(holds(formula_error("k*log(x)"), "The argument of log has the unit a at character 3"));
  CHECK(holds(formula_error("k*2^(x/y)"), "An exponent has the unit a b^-1"));
  CHECK(holds(formula_error("x^k + y^k"), "a^(k) and b^(k) cannot be added"));
  CHECK(formula_error("k*0 + 2*y", "b") == "");
  CHECK(holds(formula_error("x/y*2^k", "nats"), "The result has a b^-1 where nats is wanted"));
}

TEST_CASE("user law: keys, bounds and grids are checked") {
  Json json = chinchilla_text();
  json["coefficients"]["gamma"] = Json::object();
  CHECK(holds(error_of(json), "no such coefficient. Received gamma"));
  json = chinchilla_text();
  json["coefficients"]["alpha"].erase("grid");
  CHECK(holds(error_of(json), "coefficient alpha: The formula is not linear in it"));
  json = chinchilla_text();
  json["formla"] = 1;
  CHECK(holds(error_of(json), "Received formla. The nearest is formula"));
  json = chinchilla_text();
  json["coefficients"]["A"]["lo"] = -1;
  CHECK(holds(error_of(json), "no range of its scale"));
  json = chinchilla_text();
  json["coefficients"]["beta"]["grid"] = {0.9, 0.1, 4};
  CHECK(holds(error_of(json), "grid takes from <= to"));
  json = chinchilla_text();
  json["coefficients"]["beta"]["grid"] = {0.1, 0.9, 1000};
  json["coefficients"]["alpha"]["grid"] = {0.1, 0.9, 1000};
  CHECK(holds(error_of(json), "cells together"));
  json = chinchilla_text();
  json["inputs"] = Json::object();
  CHECK(holds(error_of(json), "[inputs] is missing"));
}

TEST_CASE("user law: Chinchilla written down reaches the built-in law's optimum") {
  const Table table = read_table(law_data("chinchilla-epoch/points.csv"));
  FitOptions options{.where = epoch_filter, .bootstrap = 50};
  const Fit built_in = fit_law(table, options);
  options.law = chinchilla_text().dump();
  const Fit own = fit_law(table, options);
  CHECK(own.objective_value == doctest::Approx(built_in.objective_value).epsilon(1e-12));
  REQUIRE(own.coefficients.size() == 5);
  for (const Estimate& estimate : built_in.coefficients) {
    const int at = find_coefficient(*own.law, estimate.name);
    CHECK(own.coefficients[at].value == doctest::Approx(estimate.value).epsilon(1e-5));
    CHECK(own.coefficients[at].se == doctest::Approx(estimate.se).epsilon(1e-3));
  }
  MESSAGE("fit and 50 bootstraps: built in " << built_in.seconds << " s, formula " << own.seconds
                                             << " s");
}

TEST_CASE("user law: a fit as JSON carries its law") {
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  FitOptions options{.law = chinchilla_text().dump(), .bootstrap = 20};
  const Json json = fit_to_json(fit_law(table, options));
  const Fit again = fit_from_json(Json::parse(json.dump()));
  CHECK(again.law->name == "mine");
  CHECK(fit_to_json(again).at("coefficients") == json.at("coefficients"));
  const Point at{{"N", 7e9}, {"D", 1.4e12}};
  CHECK(predict_loss(again, at) > again.values()[0]);
}
