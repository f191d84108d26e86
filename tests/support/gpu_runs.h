// Small populations on both devices, and their curves. For builds with RUNG_CUDA.
#pragma once
#include <c10/cuda/CUDAFunctions.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "support/configs.h"
#include "support/no_gpu.h"
#include "support/twins.h"
#include "train/population.h"

namespace rung::test {

// Width 32 with heads of 8: every fused kernel takes part.
inline RunConfig small_config(const std::string& precision, const std::string& rule = "standard") {
  RunConfig config = tiny_config();
  config.parametrisation = rule;
  config.precision = precision;
  config.model.width = 32;
  config.model.context = 32;
  config.model.norm_gain = true;
  config.model.ffn_ratio = 3.0;
  config.train.batch_tokens = 512;
  config.train.tokens = 512 * 20;
  config.train.clip = 1.0;
  config.train.weight_decay = 0.001;
  if (rule == "umup") config.train.lr = 0.1;
  return config;
}

inline std::vector<RunConfig> members(const RunConfig& config, int count) {
  std::vector<RunConfig> configs(static_cast<size_t>(count), config);
  for (size_t i = 0; i < configs.size(); ++i) {
    configs[i].train.lr *= std::pow(0.7, static_cast<double>(i));
    configs[i].seed = 3 + i;
  }
  return configs;
}

inline Population make(std::vector<RunConfig> configs, const char* device, int64_t vocabulary = 24,
                       int64_t micro = 0) {
  for (RunConfig& config : configs) config.device = device;
  Machine machine = make_machine(device, 2);
  machine.micro_sequences = micro;
  return Population(std::move(configs), std::make_shared<ChainSource>(vocabulary), machine);
}

// Losses [steps][member].
inline std::vector<std::vector<double>> curve(Population& p, int steps) {
  std::vector<std::vector<double>> losses;
  for (int i = 0; i < steps; ++i) {
    p.advance();
    p.sync();
    losses.emplace_back();
    for (const MemberState& s : p.states) losses.back().push_back(s.loss);
  }
  return losses;
}

// The largest difference of two curves, relative to `want`.
inline double worst_difference(const std::vector<std::vector<double>>& got,
                               const std::vector<std::vector<double>>& want) {
  double worst = 0.0;
  for (size_t i = 0; i < want.size(); ++i)
    for (size_t m = 0; m < want[i].size(); ++m)
      worst = std::max(worst, std::abs(got[i][m] - want[i][m]) / want[i][m]);
  return worst;
}

}  // namespace rung::test
