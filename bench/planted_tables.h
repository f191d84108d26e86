// What the planted procedures share: rows, the surface L(N, D) and its optimum.
#pragma once
#include <cmath>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "planted_procedures.h"

namespace rung {

// Columns filled row by row.
struct PlantedRows {
  std::vector<std::string> names;
  std::vector<std::vector<double>> columns;
  explicit PlantedRows(std::vector<std::string> names_)
      : names(std::move(names_)), columns(names.size()) {}
  void push(std::initializer_list<double> values) {
    size_t i = 0;
    for (const double value : values) columns[i++].push_back(value);
  }
  Table table() && {
    Table result;
    for (size_t i = 0; i < names.size(); ++i) result.add(names[i], std::move(columns[i]));
    return result;
  }
};

inline double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

// L = E + A/N^alpha + B/D^beta, and its optimum under C = 6 N D.
struct PlantedSurface {
  double E = 1.8, A = 480.0, B = 480.0, alpha = 0.35, beta = 0.35;
  double loss(double n, double d) const {
    return E + A * std::pow(n, -alpha) + B * std::pow(d, -beta);
  }
  double exponent() const { return beta / (alpha + beta); }
  double factor() const {
    return std::pow(alpha * A / (beta * B), 1.0 / (alpha + beta)) * std::pow(6.0, -exponent());
  }
  double best_size(double c) const { return factor() * std::pow(c, exponent()); }
  std::map<std::string, double> optimum() const {
    const double a = exponent(), k = factor(), least = alpha * beta / (alpha + beta);
    return {
        {"k_N", k},       {"a_N", a}, {"k_D", 1.0 / (6.0 * k)},
        {"a_D", 1.0 - a}, {"E", E},   {"A", A * std::pow(k, -alpha) + B * std::pow(6.0 * k, beta)},
        {"alpha", least}};
  }
};

inline std::function<Point(const Fit&)> fixed_point(Point point) {
  return [point](const Fit&) { return point; };
}

// Of models rather than of groups' optima: planted_models.cpp.
PlantedProcedure plant_vocabulary_1();
PlantedProcedure plant_vocabulary_3();
PlantedProcedure plant_downstream();
PlantedProcedure plant_observational();
PlantedProcedure plant_skills();
PlantedProcedure plant_multi_power();

}  // namespace rung
