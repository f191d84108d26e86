// accuracy = a/(1 + e^(k (L - L0))) + b, the form that the law and the downstream chain share.
#pragma once
#include "law/formula.h"

namespace rung {

template <class A, class B, class K, class M, class L>
auto sigmoid_accuracy(const A& a, const B& b, const K& k, const M& middle, const L& loss) {
  using std::exp;
  return b + a / (1.0 + exp(k * (loss - middle)));
}

struct Sigmoid {
  static constexpr int coefficients = 4, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    const auto& [a, b, k, middle] = c;
    return sigmoid_accuracy(a, b, k, middle, x[0]);
  }
};

// Its coefficients a, b, k, L0 with a source's steepness and middle.
constexpr std::array<Coefficient, 4> sigmoid_coefficients(double steepness, double middle) {
  return {Coefficient{.name = "a",
                      .meaning = "range of the accuracy",
                      .scale = Scale::log,
                      .lo = 0.0,
                      .linear = true,
                      .typical = 0.7},
          Coefficient{.name = "b",
                      .meaning = "accuracy of guessing",
                      .lo = 0.0,
                      .linear = true,
                      .typical = 0.25},
          Coefficient{.name = "k",
                      .meaning = "steepness",
                      .scale = Scale::log,
                      .lo = 0.02,
                      .hi = 1e3,
                      .grid_lo = 0.5,
                      .grid_hi = 50.0,
                      .grid_points = 12,
                      .typical = steepness},
          Coefficient{.name = "L0",
                      .meaning = "loss at the middle",
                      .scale = Scale::log,
                      .lo = 0.01,
                      .hi = 100.0,
                      .grid_lo = 0.2,
                      .grid_hi = 8.0,
                      .grid_points = 24,
                      .typical = middle}};
}

}  // namespace rung
