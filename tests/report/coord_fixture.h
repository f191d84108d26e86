// A small coord.json: two tensors over four widths, two horizons, two seeds.
#pragma once
#include <cmath>

#include "core/json.h"

namespace rung::fixture {

inline Json coord_json() {
  Json samples = Json::array(), slopes = Json::array(), alignment = Json::array();
  for (const char* tensor : {"ffn.down", "readout"})
    for (const int horizon : {0, 1, 10}) {
      for (const int width : {32, 64, 128, 256})
        for (const int seed : {1, 2}) {
          Json s = {{"tensor", tensor}, {"width", width},     {"depth", 2},
                    {"seed", seed},     {"horizon", horizon}, {"fan_in", width}};
          s["activation"] = std::pow(width, -0.5) * (1.0 + 0.01 * seed);
          s["update"] = horizon > 0 ? Json(0.1 * horizon) : Json();
          s["change"] = s["update"];
          s["step"] = horizon > 0 ? Json(0.05 * horizon) : Json();
          samples.push_back(s);
        }
      for (const char* quantity : {"activation", "update", "change", "step"}) {
        if (horizon == 0 && quantity != std::string("activation")) continue;
        slopes.push_back({{"tensor", tensor},
                          {"quantity", quantity},
                          {"axis", "width"},
                          {"horizon", horizon},
                          {"slope", -0.5},
                          {"lo", -0.6},
                          {"hi", -0.4},
                          {"promised", {{"lo", 0.0}, {"hi", 0.0}}},
                          {"verdict", "fail"}});
      }
      if (horizon > 0)
        alignment.push_back({{"tensor", tensor},
                             {"horizon", horizon},
                             {"exponent", 0.93},
                             {"lo", 0.91},
                             {"hi", 0.95}});
    }
  return {{"status", "refused"},
          {"parametrisation", "mup <&>"},
          {"promises", {{"width", true}, {"depth", false}}},
          {"reasons", {"step of ffn.down goes <down>"}},
          {"tolerance", 0.25},
          {"level", 0.9},
          {"judged", 12},
          {"failed", 3},
          {"wide", 0},
          {"diverged", Json::array()},
          {"slopes", slopes},
          {"alignment", alignment},
          {"samples", samples}};
}

}  // namespace rung::fixture
