// A tiny mixture of experts, and what it reports.
#pragma once
#include <string>

#include "support/models.h"
#include "support/parts.h"

namespace rung::test {

// What a part reported of the first member.
inline double statistic(const Tally& tally, const std::string& name) {
  for (const Statistic& s : tally.statistics(0))
    if (s.name == name) return s.value;
  FAIL("no statistic is called " << name);
  return 0.0;
}

inline RunConfig moe_config() {
  RunConfig config = tiny_config();
  config.model.ffn = "moe";
  config.model.moe_experts = 5;
  config.model.ffn_ratio = 0.5;
  return config;
}

}  // namespace rung::test
