#include "law/simulate.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/random.h"
#include "law/problem.h"

namespace rung {
namespace {

double spread(const InputRange& range, double share) {
  if (range.linear) return range.lo + share * (range.hi - range.lo);
  return range.lo * std::pow(range.hi / range.lo, share);
}

// Every combination of the given numbers of values per input.
std::vector<std::vector<double>> factorial(const Law& law, const std::vector<int>& values) {
  std::vector<std::vector<double>> points(1);
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<std::vector<double>> longer;
    for (const auto& point : points)
      for (int v = 0; v < values[i]; ++v) {
        longer.push_back(point);
        longer.back().push_back(spread(law.design[i], v / std::max(1.0, values[i] - 1.0)));
      }
    points = std::move(longer);
  }
  return points;
}

// Halton's sequence, rounded to five values an input: even coverage where a factorial is too large.
std::vector<std::vector<double>> scattered(const Law& law) {
  constexpr int count = 120, values = 5;
  constexpr int primes[max_inputs] = {2, 3, 5, 7, 11, 13, 17, 19};
  std::vector<std::vector<double>> points;
  for (int row = 1; row <= count; ++row) {
    std::vector<double>& point = points.emplace_back();
    for (size_t i = 0; i < law.design.size(); ++i) {
      double at = 0.0, digit = 1.0;
      for (int rest = row; rest > 0; rest /= primes[i]) {
        digit /= primes[i];
        at += digit * (rest % primes[i]);
      }
      point.push_back(spread(law.design[i], std::floor(at * values) / (values - 1)));
    }
  }
  return points;
}

std::vector<std::vector<double>> design_points(const Law& law) {
  switch (law.design.size()) {
    case 1: {
      std::vector<std::vector<double>> points = factorial(law, {8});
      const std::vector<std::vector<double>> again = points;
      points.insert(points.end(), again.begin(), again.end());
      return points;
    }
    case 2:
      return factorial(law, {6, 5});
    case 3:
      return factorial(law, {5, 4, 3});
    default:
      return scattered(law);
  }
}

}  // namespace

bool can_plant(const Law& law) {
  return law.evaluate && !law.inputs.empty() && law.design.size() == law.inputs.size() &&
         std::none_of(law.coefficients.begin(), law.coefficients.end(),
                      [](const Coefficient& c) { return std::isnan(c.typical); });
}

Planted plant(const Law& law) {
  if (!can_plant(law))
    fail("[simulate] {} states no typical coefficients or no design. Received {} input ranges.",
         law.name, law.design.size());
  Planted planted{.law = &law, .objective = find_objective(law.objective)};
  for (const Coefficient& c : law.coefficients) planted.coefficients.push_back(c.typical);
  planted.at = design_points(law);
  if (law.plan) law.plan(planted);
  return planted;
}

double measure(const Planted& planted, const std::vector<double>& at, double normal) {
  const double truth = evaluate_law(*planted.law, planted.coefficients, at);
  return with_residual(planted.objective, truth, planted.law->noise * normal);
}

Table simulate(const Planted& planted, uint64_t seed, uint64_t ladder) {
  const Law& law = *planted.law;
  Random random(seed + hash_name(law.name), "planted", ladder);
  std::vector<double> measured;
  for (const auto& at : planted.at) measured.push_back(measure(planted, at, random.normal()));
  Table table;
  for (size_t i = 0; i < law.inputs.size(); ++i) {
    std::vector<double> column;
    for (const auto& at : planted.at) column.push_back(at[i]);
    table.add(std::string(law.inputs[i]), std::move(column));
  }
  table.add(std::string(law.target), std::move(measured));
  return table;
}

std::vector<double> beyond(const Law& law, double factor) {
  std::vector<double> at;
  for (const InputRange& range : law.design)
    at.push_back(range.linear ? range.hi : factor * range.hi);
  return at;
}

}  // namespace rung
