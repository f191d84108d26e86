// A small compare.json: two alternatives that cross, with curves over FLOPs and over time.
#pragma once
#include <cmath>

#include "core/json.h"

namespace rung::fixture {

inline Json alternative_json(const char* name, double factor, double exponent) {
  Json a = {{"name", name},
            {"target", {{"N", 2.1e6}, {"D", 4.2e7}, {"C", 5.3e14}}},
            {"extrapolation_flops", 4.2},
            {"predicted", {{"loss", 2.31}, {"lo", 2.25}, {"hi", 2.38}}},
            {"flops_per_second", 4.1e10}};
  for (int i = 0; i < 5; ++i) {
    const double c = 1e13 * std::pow(4.0, i);
    a["runs"].push_back({{"C", c}, {"L", 1.5 + factor * std::pow(c, -exponent)}});
  }
  for (int i = 0; i < 25; ++i) {
    const double c = 1e13 * std::pow(2.0, i), loss = 1.5 + factor * std::pow(c, -exponent);
    a["curve_flops"].push_back({c, loss, 0.99 * loss, 1.01 * loss});
    a["curve_seconds"].push_back({c / 4e10, loss, 0.99 * loss, 1.01 * loss});
  }
  return a;
}

inline Json comparison_json() {
  Json first = alternative_json("attention", 60.0, 0.13);
  first["measured"] = {{"loss", 2.32}, {"se", 0.002}};
  first["relative_error"] = -0.0043;
  first["inside"] = true;
  first["law_at_target"] = {{"loss", 2.31}, {"lo", 2.30}, {"hi", 2.315}, {"inside", false}};
  return {
      {"kind", "comparison"},
      {"status", "running"},
      {"warnings", {"attention: its target measured 2.3200, outside of <a range>"}},
      {"alternatives",
       {first, alternative_json("model.pattern=\"mlstm x7, <slstm>\"", 90.0, 0.145)}},
      {"ranking",
       {{"flops",
         {{"at", 5.3e14},
          {"standings",
           {{{"name", "attention"},
             {"loss", 2.31},
             {"lo", 2.30},
             {"hi", 2.315},
             {"measured", 2.32}},
            {{"name", "model.pattern=\"mlstm x7, <slstm>\""},
             {"loss", 2.35},
             {"lo", 2.33},
             {"hi", 2.37}}}}}},
        {"seconds",
         {{"at", 1.3e4},
          {"standings", {{{"name", "attention"}, {"loss", 2.31}, {"lo", 2.3}, {"hi", 2.32}}}}}}}},
      {"pairs",
       {{{"first", "attention"},
         {"second", "model.pattern=\"mlstm x7, <slstm>\""},
         {"flops", {{"verdict", "the second is ahead beyond 3.1e15 (90 %: 1e15 .. 2e16)"}}},
         {"seconds", {{"verdict", "cannot be told"}}},
         {"shared_E_probability", 0.41}}}}};
}

}  // namespace rung::fixture
