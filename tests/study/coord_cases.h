// Right rules and planted faults for the coordinate check. The first 12 of each are the test's; the
// bench program runs all of them at other widths and seeds.
#pragma once
#include <ATen/Parallel.h>

#include <cmath>
#include <functional>
#include <vector>

#include "scaling/parametrisation.h"
#include "study/coord.h"
#include "support/configs.h"

namespace rung::test {

inline constexpr int64_t base_depth = 2;

struct CoordCase {
  const char* name;
  RunConfig config;
  bool over_depth = false;
  std::function<void(Decoder&)> alter = {};
};

inline RunConfig coord_config(const char* rule, double lr = 0.01) {
  RunConfig config;
  config.parametrisation = rule;
  config.base_depth = base_depth;
  config.model.depth = base_depth;
  config.model.context = 16;
  config.train.batch_tokens = 128;
  config.train.lr = lr;
  config.train.beta2 = 0.95;
  config.train.epsilon = 1e-12;
  return config;
}

inline RunConfig with(RunConfig config, const std::function<void(RunConfig&)>& change) {
  change(config);
  return config;
}

struct CaseSize {
  int64_t base_width = 16;
  uint64_t seed = 1;
};

inline CoordResult run_case(const CoordCase& c, const CaseSize& size = {}) {
  at::set_num_threads(1);  // tensors this small only lose by more
  RunConfig config = c.config;
  config.base_width = config.model.width = size.base_width;
  config.seed = size.seed;
  CoordPlan plan;
  if (c.over_depth)
    plan.depths = {2, 4, 8, 16};
  else
    plan.widths = {size.base_width, 2 * size.base_width, 4 * size.base_width, 8 * size.base_width};
  plan.horizons = {1, 8};
  plan.seeds = 4;
  plan.probe_tokens = 256;
  return check_coordinates(config, plan, std::make_shared<ChainSource>(64, 4096),
                           make_machine("cpu", 2), {}, c.alter);
}

// What a fault multiplies by, as powers of m = width / base width, or depth / base depth.
struct Wrong {
  double A = 0.0, B = 0.0, C = 0.0, decay = 0.0, epsilon = 0.0;
};

// m of width 16 or depth 2: a constant more or less is no fault.
inline double growth(const Decoder& d, bool depth) {
  return depth ? static_cast<double>(d.model.depth) / static_cast<double>(base_depth)
               : static_cast<double>(d.model.width) / 16.0;
}

inline std::function<void(Decoder&)> wrong(Role role, Wrong e, bool depth = false) {
  return [=](Decoder& d) {
    const double m = growth(d, depth);
    for (size_t i = 0; i < d.layout.tensors.size(); ++i) {
      if (d.layout.tensors[i].role != role) continue;
      Factors& f = d.layout.factors[i];
      for (double* A : {&f.A, &f.A_input, &f.A_weight}) *A *= std::pow(m, e.A);
      f.B *= std::pow(m, e.B);
      f.C *= std::pow(m, e.C);
      f.decay *= std::pow(m, e.decay);
      f.epsilon *= std::pow(m, e.epsilon);
    }
  };
}

// The rule applied with fan_in and fan_out exchanged.
inline std::function<void(Decoder&)> swapped_fans(const RunConfig& config, int64_t vocabulary) {
  return [=](Decoder& d) {
    RunConfig own = config;
    own.model = d.model;
    for (size_t i = 0; i < d.layout.tensors.size(); ++i) {
      TensorSpec spec = d.layout.tensors[i];
      std::swap(spec.fan_in, spec.fan_out);
      d.layout.factors[i] = complete_factors(find_parametrisation(config.parametrisation), spec,
                                             dims_of(own, vocabulary), config.alignment);
    }
  };
}

inline void attention_as_root(Decoder& d) {  // q.k / sqrt(d) where the rule has 1 / d
  d.block.attention_logit *= std::sqrt(growth(d, false));
}

inline void coupled_decay(Decoder& d) {
  for (Factors& f : d.layout.factors) f.decay *= f.C;
}

inline std::function<void(Decoder&)> wrong_branches(double power) {
  return [=](Decoder& d) {
    for (ResidualFactor& r : d.block.residual) r.branch *= std::pow(growth(d, true), power);
  };
}

inline void plain_branches(Decoder& d) {
  for (ResidualFactor& r : d.block.residual) r.branch = r.skip = 1.0;
}

inline std::function<void(RunConfig&)> uses(const char* optimizer) {
  return [=](RunConfig& c) { c.train.optimizer = optimizer; };
}

inline void tied(RunConfig& c) {
  c.model.tied = true;
}
inline void full(RunConfig& c) {
  c.alignment = "full";
}

inline std::vector<CoordCase> planted_faults() {
  const RunConfig mup = coord_config("mup"), completep = coord_config("completep");
  const RunConfig umup = coord_config("umup", 0.25);
  const auto decays = [](RunConfig& c) { c.train.weight_decay = 0.05; };
  // About the gradients' size, so that it matters.
  const auto large_epsilon = [](RunConfig& c) { c.train.epsilon = 1e-3; };
  return {
      {"readout without its multiplier 1/m", mup, false, wrong(Role::readout, {.A = 1.0})},
      {"attention q.k / sqrt(d) instead of 1/d", mup, false, attention_as_root},
      {"decay coupled to the LR", with(mup, decays), false, coupled_decay},
      {"tied logits scaled as the standard rule's", with(mup, tied), false,
       wrong(Role::tied, {.A = 1.0})},
      {"one epsilon for all widths", with(mup, large_epsilon), false,
       wrong(Role::hidden, {.epsilon = 1.0})},
      {"residual branches without 1/depth", completep, true, wrong_branches(1.0)},
      {"embedding LR / m", mup, false, wrong(Role::embedding, {.C = -1.0})},
      {"hidden LR without 1/m", mup, false, wrong(Role::hidden, {.C = 1.0})},
      {"hidden init without fan_in^-1/2", mup, false, wrong(Role::hidden, {.B = 0.5})},
      {"fan_in and fan_out exchanged", umup, false, swapped_fans(umup, 64)},
      {"readout LR / m on top of its multiplier", mup, false, wrong(Role::readout, {.C = -1.0})},
      {"LR without its depth factor", coord_config("depth-mup"), true,
       wrong(Role::hidden, {.C = 0.5}, true)},
      // More, for the bench.
      {"readout A m^-1/2 instead of m^-1", coord_config("mfp", 0.05), false,
       wrong(Role::readout, {.A = 0.5})},
      {"embedding init m^-1/2", mup, false, wrong(Role::embedding, {.B = -0.5})},
      {"hidden LR m^-2", mup, false, wrong(Role::hidden, {.C = -1.0})},
      {"Muon with Adam's LR / m too", with(coord_config("mup", 0.02), uses("muon")), false,
       wrong(Role::hidden, {.C = -1.0})},
      {"CompleteP with depth-muP's LR", completep, true, wrong(Role::hidden, {.C = -0.5}, true)},
      {"CompleteP with depth-muP's branches", completep, true, wrong_branches(0.5)},
      {"SGD with Adam's LR / m", with(coord_config("mup", 0.3), uses("sgd")), false,
       wrong(Role::hidden, {.C = -1.0})},
      {"u-muP with attention q.k / sqrt(d)", umup, false, attention_as_root},
      {"tied LR / m", with(mup, tied), false, wrong(Role::tied, {.C = -1.0})},
      {"NTK without LR m^-1/2", coord_config("ntk"), false, wrong(Role::hidden, {.C = 0.5})},
      {"u-muP with readout A fan_in^-1/2", umup, false, wrong(Role::readout, {.A = 0.5})},
      {"u-muP without residual factors", umup, true, plain_branches},
      {"standard, hidden init fan_in^-1", with(coord_config("standard"), full), false,
       wrong(Role::hidden, {.B = -0.5})},
      {"hidden LR m^-1/2", mup, false, wrong(Role::hidden, {.C = 0.5})},
      {"embedding LR m^1/2", mup, false, wrong(Role::embedding, {.C = 0.5})},
  };
}

inline std::vector<CoordCase> right_rules() {
  return {
      {"mup, AdamW with decay",
       with(coord_config("mup"), [](RunConfig& c) { c.train.weight_decay = 0.05; })},
      {"mup, AdamW with a large epsilon that follows the gradient",
       with(coord_config("mup"), [](RunConfig& c) { c.train.epsilon = 1e-3; })},
      {"mup, tied, LayerNorm with gains", with(coord_config("mup"),
                                               [](RunConfig& c) {
                                                 c.model.tied = true;
                                                 c.model.norm = "layernorm";
                                                 c.model.norm_gain = true;
                                               })},
      {"mup, Muon", with(coord_config("mup", 0.02), uses("muon"))},
      {"mup-table3, Adam-atan2, GQA", with(coord_config("mup-table3"),
                                           [](RunConfig& c) {
                                             c.train.optimizer = "adam-atan2";
                                             c.model.kv_heads = 2;
                                           })},
      {"mup-table9, SGD", with(coord_config("mup-table9", 0.3), uses("sgd"))},
      {"mfp, GELU, QK-norm", with(coord_config("mfp", 0.05),
                                  [](RunConfig& c) {
                                    c.model.ffn = "gelu";
                                    c.model.qk_norm = true;
                                  })},
      {"umup", coord_config("umup", 0.25)},
      {"spectral, Schedule-Free AdamW",
       with(coord_config("spectral"), uses("schedule-free-adamw"))},
      {"ntk, Adam with parameter scaling", with(coord_config("ntk", 0.02), uses("adam-scaled"))},
      {"completep over depth", coord_config("completep"), true},
      {"umup over depth, tied", with(coord_config("umup", 0.25), tied), true},
      // More, for the bench.
      {"supar, density 1/4",
       with(coord_config("supar"), [](RunConfig& c) { c.model.density = 0.25; })},
      {"mus, norms after branches",
       with(coord_config("mus", 0.1), [](RunConfig& c) { c.model.norm_place = "after"; })},
      {"standard, full alignment", with(coord_config("standard"), full)},
      {"standard, full alignment, SGD",
       with(with(coord_config("standard", 0.3), full), uses("sgd"))},
      {"completedp over width",
       with(coord_config("completedp"), [](RunConfig& c) { c.base_batch_tokens = 64; })},
      {"completedp over depth, with decay",
       with(coord_config("completedp"), [](RunConfig& c) { c.train.weight_decay = 0.02; }), true},
      {"depth-mup over depth", coord_config("depth-mup"), true},
      {"completep over depth, SGD", with(coord_config("completep", 0.3), uses("sgd")), true},
      {"completep over depth, Muon", with(coord_config("completep", 0.02), uses("muon")), true},
      {"umup, GQA, QK-norm", with(coord_config("umup", 0.25),
                                  [](RunConfig& c) {
                                    c.model.kv_heads = 2;
                                    c.model.qk_norm = true;
                                  })},
      {"umup, GeGLU, gains, decay", with(coord_config("umup", 0.25),
                                         [](RunConfig& c) {
                                           c.model.ffn = "geglu";
                                           c.model.norm_gain = true;
                                           c.train.weight_decay = 0.03;
                                         })},
      {"mup, SOAP", with(coord_config("mup"), uses("soap"))},
      {"mup-table3, Schedule-Free SGD",
       with(coord_config("mup-table3", 0.3), uses("schedule-free-sgd"))},
      {"mup, learned positions, heads of 8", with(coord_config("mup"),
                                                  [](RunConfig& c) {
                                                    c.model.position = "learned";
                                                    c.model.head_dim = 8;
                                                  })},
      {"mup, CoPE", with(coord_config("mup"), [](RunConfig& c) { c.model.position = "cope"; })},
      {"mup, decay rule width", with(coord_config("mup"),
                                     [](RunConfig& c) {
                                       c.train.decay_rule = "width";
                                       c.train.weight_decay = 0.05;
                                     })},
      {"mfp, Adam with parameter scaling", with(coord_config("mfp", 0.02), uses("adam-scaled"))},
      {"ntk, Adam-atan2, ReLU^2", with(coord_config("ntk"),
                                       [](RunConfig& c) {
                                         c.train.optimizer = "adam-atan2";
                                         c.model.ffn = "relu2";
                                       })},
      {"spectral, Muon", with(coord_config("spectral", 0.02), uses("muon"))},
  };
}

}  // namespace rung::test
