// A x^-a with its derivatives in one pass: what most laws are sums of. The same from products and
// exponentials of dual numbers takes three passes over the Hessian.
#pragma once
#include <cmath>

#include "law/dual.h"

namespace rung {

inline double power_term(double factor, double exponent, double log_x) {
  return factor * std::exp(-exponent * log_x);
}

template <int K, int Order>
Dual<K, Order> power_term(const Dual<K, Order>& factor, const Dual<K, Order>& exponent,
                          double log_x) {
  const double power = std::exp(-exponent.value * log_x);
  Dual<K, Order> term(factor.value * power);
  const double slope = -log_x * term.value;  // of the exponent
  for (int i = 0; i < K; ++i)
    term.gradient[i] = power * factor.gradient[i] + slope * exponent.gradient[i];
  if constexpr (Order == 2) {
    const double mixed = -log_x * power, bend = -log_x * slope;
    for (int i = 0, at = 0; i < K; ++i) {
      const double by_factor = mixed * exponent.gradient[i];
      const double by_exponent = mixed * factor.gradient[i] + bend * exponent.gradient[i];
      for (int j = 0; j <= i; ++j, ++at)
        term.hessian[at] = power * factor.hessian[at] + slope * exponent.hessian[at] +
                           by_factor * factor.gradient[j] + by_exponent * exponent.gradient[j];
    }
  }
  return term;
}

}  // namespace rung
