// E + A/N^alpha + B/D^beta, the form that several sources share with different coefficients.
#pragma once
#include "law/formula.h"
#include "law/laws/terms.h"
#include "law/power_term.h"

namespace rung {

struct SizeAndData {
  static constexpr int coefficients = 5, inputs = 2;
  // Of the first five of c: a chain's further coefficients follow.
  template <class T, size_t k>
  static T loss(const std::array<T, k>& c, const Inputs& x) {
    return c[0] + power_term(c[1], c[3], x.log(0)) + power_term(c[2], c[4], x.log(1));
  }
};

// Its coefficients E, A, B, alpha, beta with a source's values.
constexpr std::array<Coefficient, 5> size_and_data_coefficients(
    const std::array<double, 5>& typical) {
  return {irreducible_loss(typical[0]), factor_coefficient("A", "size term", typical[1]),
          factor_coefficient("B", "data term", typical[2]),
          loss_exponent("alpha", "exponent of size", typical[3]),
          loss_exponent("beta", "exponent of data", typical[4])};
}

}  // namespace rung
