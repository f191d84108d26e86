// A x^-a with its derivatives in one pass: what most laws are sums of. The same from products and
// exponentials of dual numbers takes three passes over the Hessian.
#pragma once
#include <cmath>

#include "law/dual.h"

namespace rung {

inline double power_term(double factor, double exponent, double log_x) {
  return factor * std::exp(-exponent * log_x);
}

template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> power_term(const Jet<A, Order>& factor, const Jet<B, Order>& exponent,
                               double log_x) {
  const double power = std::exp(-exponent.value * log_x);
  Jet<(A | B), Order> term(factor.value * power);
  const double slope = -log_x * term.value;  // of the exponent
  add_derivatives(term, factor, power);
  add_derivatives(term, exponent, slope);
  if constexpr (Order == 2) {
    add_outer(term, factor, exponent, -2.0 * log_x * power);
    add_outer(term, exponent, exponent, -log_x * slope);
  }
  return term;
}

}  // namespace rung
