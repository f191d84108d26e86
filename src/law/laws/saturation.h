// The number of experts that counts (Clark et al. 2022, equation 1): E_start at E = 1, E_max in the
// limit.
#pragma once

namespace rung {

template <class S, class M>
auto saturated_experts(double experts, const S& E_start, const M& E_max) {
  const auto offset = 1.0 / (1.0 / E_start - 1.0 / E_max);
  return 1.0 / (1.0 / (offset + (experts - 1.0)) + 1.0 / E_max);
}

}  // namespace rung
