// E + A/N^alpha + B/D^beta, the form that several sources share with different coefficients.
#pragma once
#include "law/formula.h"
#include "law/laws/terms.h"
#include "law/power_term.h"

namespace rung {

struct SizeAndData {
  static constexpr int coefficients = 5, inputs = 2;
  // Of the first five of c: a chain's further coefficients follow.
  static auto loss(const auto& c, const Inputs& x) {
    return std::get<0>(c) + power_term(std::get<1>(c), std::get<3>(c), x.log(0)) +
           power_term(std::get<2>(c), std::get<4>(c), x.log(1));
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
