// Compiled with -O3 -ffast-math (CMakeLists.txt), so that the exponentials and logarithms of the
// loops become the C library's vector functions. Nothing here is meant to meet NaN or infinity;
// what overflows is found by the callers, whose arithmetic is the ordinary one.
#include "law/annealing_sum.h"

#include <algorithm>
#include <cmath>

#include "law/widest.h"

namespace rung {
namespace {

// Keeps C lr^-gamma S finite.
constexpr double largest_exponent = 600.0;

}  // namespace

WIDEST double annealing_sum(const SumTerms& terms, double log_c, double beta, double gamma) {
  double sum = 0.0;
  for (size_t i = 0; i < terms.count; ++i) {
    const double u =
        std::exp(std::min(largest_exponent, log_c - gamma * terms.log_lr[i])) * terms.sum[i];
    sum += terms.weight[i] * (1.0 - std::exp(-beta * std::log(1.0 + u)));
  }
  return sum;
}

// With l = ln(1 + u), u = C lr^-gamma S, P = e^(-beta l), q = u / (1 + u) and x = -ln lr:
// dl/dlnC = q, dl/dgamma = q x, dq/dlnC = q (1 - q).
WIDEST AnnealingJet annealing_jet(const SumTerms& terms, double log_c, double beta, double gamma) {
  // Sums of w P times: l, l^2, q, q x, q y, q x y, z, z x, z x^2 with y = beta l - 1 and
  // z = beta q (beta q - (1 - q)).
  double lost = 0, l1 = 0, l2 = 0, q0 = 0, qx = 0, qy = 0, qxy = 0, z0 = 0, zx = 0, zxx = 0;
  for (size_t i = 0; i < terms.count; ++i) {
    const double x = -terms.log_lr[i];
    const double u = std::exp(std::min(largest_exponent, log_c + gamma * x)) * terms.sum[i];
    const double l = std::log(1.0 + u);
    const double q = u / (1.0 + u);
    const double p = terms.weight[i] * std::exp(-beta * l);
    const double pq = p * q, y = beta * l - 1.0, z = beta * pq * (beta * q - (1.0 - q));
    lost += terms.weight[i] - p;
    l1 += p * l;
    l2 += p * l * l;
    q0 += pq;
    qx += pq * x;
    qy += pq * y;
    qxy += pq * y * x;
    z0 += z;
    zx += z * x;
    zxx += z * x * x;
  }
  return {lost, {beta * q0, l1, beta * qx}, {-z0, -qy, -l2, -zx, -qxy, -zxx}};
}

}  // namespace rung
