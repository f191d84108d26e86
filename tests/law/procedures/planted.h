// Tables planted from known truths for the tests of procedures.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "law/fit.h"

namespace rung {

// L = E + A/N^alpha + B/D^beta.
struct Surface {
  double E = 1.8, A = 400.0, B = 400.0, alpha = 0.34, beta = 0.34;
  double loss(double n, double d) const {
    return E + A * std::pow(n, -alpha) + B * std::pow(d, -beta);
  }
  double exponent() const { return beta / (alpha + beta); }
  double best_size(double c) const {
    return std::pow(alpha * A / (beta * B), 1 / (alpha + beta)) * std::pow(c / 6, exponent());
  }
};

// `budgets` IsoFLOP curves from 1e18 FLOPs on, half a decade apart, with `sizes` sizes a factor
// `step` apart, whose middle lies at `centre` times the optimum.
inline Table isoflop_table(const Surface& surface, int budgets, int sizes, double step,
                           double centre, double noise, uint64_t seed) {
  std::vector<double> n, d, loss;
  Random random(seed, "isoflop");
  for (int b = 0; b < budgets; ++b) {
    const double c = 1e18 * std::pow(10.0, 0.5 * b);
    for (int i = 0; i < sizes; ++i) {
      n.push_back(centre * surface.best_size(c) * std::pow(step, i - 0.5 * (sizes - 1)));
      d.push_back(c / (6 * n.back()));
      loss.push_back(surface.loss(n.back(), d.back()) * std::exp(noise * random.normal()));
    }
  }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  return table;
}

inline const Diagnostic* find_diagnostic(const Fit& fit, const std::string& code) {
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == code) return &d;
  return nullptr;
}

inline const Estimate& estimate(const Fit& fit, const std::string& name) {
  for (const Estimate& e : fit.coefficients)
    if (e.name == name) return e;
  for (const Fit& part : fit.parts)
    for (const Estimate& e : part.coefficients)
      if (e.name == name) return e;
  static const Estimate none{.name = "none", .value = std::nan("")};
  return none;
}

}  // namespace rung
