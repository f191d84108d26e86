// accuracy = a/(1 + e^(k (L - L0))) + b, the form that the law and the downstream chain share.
#pragma once
#include "law/formula.h"

namespace rung {

template <class T, class L>
T sigmoid_accuracy(const T& a, const T& b, const T& k, const T& middle, const L& loss) {
  using std::exp;
  return b + a / (1.0 + exp(k * (loss - middle)));
}

struct Sigmoid {
  static constexpr int coefficients = 4, inputs = 1;
  template <class T>
  static T loss(const std::array<T, 4>& c, const Inputs& x) {
    return sigmoid_accuracy(c[0], c[1], c[2], c[3], x[0]);
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
