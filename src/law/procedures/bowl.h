// The minimum of a sweep over learning rate and batch at one size and length.
#pragma once
#include <string_view>
#include <vector>

#include "law/procedure.h"

namespace rung {

// The minimum of a paraboloid in (ln lr, ln bs) through the given rows.
struct Bowl {
  std::string_view problem;  // why it is of no use; empty: none
  double log_rate = 0.0, log_batch = 0.0, value = 0.0;
  std::vector<double> fitted;
  int freedom = 0;
};

Bowl fit_bowl(const RawRows& rows, const std::vector<size_t>& members);

}  // namespace rung
