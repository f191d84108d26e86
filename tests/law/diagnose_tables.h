// Chinchilla ladders to plant faults in, and what a fit says of them.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "law/laws/laws.h"
#include "law/procedures/planted.h"

namespace rung {

// Chinchilla losses at the given points with noise in logs.
inline Table chinchilla_table(const std::vector<double>& n, const std::vector<double>& d, double sd,
                              double e = 1.8) {
  Table table;
  std::vector<double> loss;
  Random random(3, "diagnose");
  for (size_t i = 0; i < n.size(); ++i)
    loss.push_back(evaluate_law(chinchilla_law, std::vector{e, 480.0, 2100.0, 0.35, 0.37},
                                std::vector{n[i], d[i]}) *
                   std::exp(sd * random.normal()));
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  return table;
}

// size x size grid of N from 1e7 and D from 1e9, `decades` wide each.
inline Table chinchilla_grid(int size, double decades, double sd) {
  std::vector<double> n, d;
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j) {
      n.push_back(1e7 * std::pow(10, decades * i / (size - 1)));
      d.push_back(1e9 * std::pow(10, decades * j / (size - 1)));
    }
  return chinchilla_table(n, d, sd);
}

// The severity of a code, "" where it was not given.
inline std::string severity_of(const Fit& fit, const char* code) {
  const Diagnostic* found = find_diagnostic(fit, code);
  return found ? std::string(severity_name(found->severity)) : "";
}

inline std::string text_of(const Fit& fit, const char* code) {
  const Diagnostic* found = find_diagnostic(fit, code);
  return found ? found->text : "";
}

inline const FitOptions no_bootstrap{.bootstrap = 0};

}  // namespace rung
