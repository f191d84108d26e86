// A made-up fit of two inputs with profiles and forms, and its curves, as the law layer writes
// them.
#pragma once
#include <cmath>

#include "core/json.h"

namespace rung::fixture {

inline double fitted_loss(double n, double d) {
  return 1.8 + 480 / std::pow(n, 0.35) + 2100 / std::pow(d, 0.37);
}

inline Json fit_json() {
  Json inputs = Json::array(), measured = Json::array(), law = Json::array();
  for (int i = 0; i < 25; ++i) {
    const double n = 1e7 * std::pow(10, 0.5 * (i / 5)), d = 1e9 * std::pow(10, 0.5 * (i % 5));
    inputs.push_back({n, d});
    law.push_back(fitted_loss(n, d));
    measured.push_back(fitted_loss(n, d) * (1 + 0.003 * std::sin(3.0 * i)));
  }
  Json profile = {{"threshold", 2.7}, {"lo", 0.31}, {"hi", nullptr}};
  for (int i = -10; i <= 10; ++i) {
    profile["values"].push_back(0.35 + 0.005 * i);
    profile["deviance"].push_back(0.04 * i * i);
  }
  return {
      {"status", "fitted"},
      {"law", "chinchilla"},
      {"formula", "L = E + A/N^alpha + B/D^beta"},
      {"objective", {{"name", "huber-log"}, {"log_residual", true}}},
      {"level", 0.9},
      {"points", 25},
      {"coefficients", {{"E", {{"value", 1.8}, {"se", 0.02}, {"lo", 1.77}, {"hi", 1.83}}}}},
      {"fitted", {{"inputs", inputs}, {"measured", measured}, {"law", law}}},
      {"profiles", {{"alpha", profile}, {"beta", profile}, {"E", profile}}},
      {"forms",
       {{{"law", "chinchilla"}, {"weight", 0.8}, {"rollout_error", 0.01}, {"status", "fitted"}},
        {{"law", "broken-power"}, {"weight", 0.2}, {"rollout_error", 0.02}, {"status", "fitted"}}}},
      {"diagnostics",
       {{{"code", "narrow-range"}, {"severity", "warning"}, {"text", "N spans 0.9 decades."}}}},
      {"checklist", {{"fitting", {{"loss", "huber-log"}}}}}};
}

inline Json curves_json() {
  Json lines = Json::array(), isoflop = Json::array();
  for (int i = 0; i < 5; ++i) {
    const double n = 1e7 * std::pow(10, 0.5 * i), c = 1e18 * std::pow(10, 0.5 * i);
    Json line = {{"value", n}, {"points", Json::array()}, {"band", Json::array()}};
    Json equal = {{"C", c}, {"points", Json::array()}};
    for (int k = 0; k < 30; ++k) {
      const double d = 1e9 * std::pow(10, 0.1 * k), size = 1e7 * std::pow(10, 0.1 * k);
      line["points"].push_back({d, fitted_loss(n, d)});
      if (i == 4) line["band"].push_back({d, 0.99 * fitted_loss(n, d), 1.01 * fitted_loss(n, d)});
      equal["points"].push_back({size, fitted_loss(size, c / (6 * size))});
    }
    lines.push_back(line);
    isoflop.push_back(equal);
  }
  return {{"x", "D"},      {"x_index", 1},   {"log_x", true},     {"by", "N"},
          {"by_index", 0}, {"lines", lines}, {"isoflop", isoflop}};
}

}  // namespace rung::fixture
