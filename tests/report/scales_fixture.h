// A small scales.json: three tensors at two steps, one of them all zero.
#pragma once
#include "core/json.h"

namespace rung::fixture {

inline Json scales_json() {
  const auto fits = [](double lost) {
    Json fits = Json::object();
    for (const char* name : {"FP16", "BF16", "E4M3", "E5M2"})
      fits[name] = {{"underflow", lost}, {"subnormal", 0.1},          {"overflow", 0.0},
                    {"scale_log2", 7},   {"scaled_underflow", 0.001}, {"scaled_subnormal", 0.0}};
    return fits;
  };
  Json tensors = Json::array(), ranges = Json::array();
  for (const int step : {0, 100})
    for (const char* kind : {"activation", "gradient", "weight"}) {
      const bool zero = std::string_view(kind) == "weight";
      tensors.push_back({{"step", step},
                         {"tensor", "blocks.0.ffn.<down>"},
                         {"class", "ffn.<down>"},
                         {"layer", 0},
                         {"kind", kind},
                         {"count", 100},
                         {"zeros", zero ? 100 : 0},
                         {"not_finite", 0},
                         {"rms", zero ? 0.0 : 0.25},
                         {"mean", 0.0},
                         {"std", zero ? 0.0 : 0.25},
                         {"abs_min", zero ? 0.0 : 1e-6},
                         {"abs_max", zero ? 0.0 : 3.0},
                         {"low", zero ? 0.0 : 1e-4},
                         {"median", zero ? 0.0 : 0.2},
                         {"high", zero ? 0.0 : 1.0},
                         {"formats", fits(zero ? 0.0 : 0.125)}});
      ranges.push_back(
          {{"kind", kind},
           {"step", step},
           {"rms_lo", 0.25},
           {"rms_hi", 0.25},
           {"lost", {{"FP16", 0.0}, {"BF16", 0.0}, {"E4M3", 0.125}, {"E5M2", 0.0}}},
           {"scaled_lost", {{"FP16", 0.0}, {"BF16", 0.0}, {"E4M3", 0.001}, {"E5M2", 0.0}}}});
    }
  const auto format = [](const char* name, double largest, double normal, double subnormal) {
    return Json{{"name", name},
                {"largest", largest},
                {"smallest_normal", normal},
                {"smallest_subnormal", subnormal}};
  };
  return {{"kind", "scales"},
          {"status", "done"},
          {"parametrisation", "umup <&>"},
          {"width", 64},
          {"depth", 1},
          {"batch_tokens", 2048},
          {"steps", {0, 100}},
          {"losses", {5.5, 3.1}},
          {"quantiles", {0.001, 0.5, 0.999}},
          {"formats",
           {format("FP16", 65504, 0x1p-14, 0x1p-24), format("BF16", 3.39e38, 0x1p-126, 0x1p-133),
            format("E4M3", 448, 0x1p-6, 0x1p-9), format("E5M2", 57344, 0x1p-14, 0x1p-16)}},
          {"ranges", ranges},
          {"classes",
           {{{"class", "ffn.<down>"},
             {"kind", "activation"},
             {"rms", {0.25, 0.25}},
             {"worst", {{"tensor", "blocks.0.ffn.<down>"}, {"step", 100}}}}}},
          {"tensors", tensors}};
}

}  // namespace rung::fixture
