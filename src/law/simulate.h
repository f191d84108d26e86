// Planted ladders: tables simulated from a law with its published coefficients on the inputs that
// its source used. What a fit says about such a table can be checked against the truth.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "law/law.h"
#include "law/objective.h"
#include "law/predict.h"
#include "law/table.h"

namespace rung {

// A law can be planted when it states a design for its inputs and every coefficient's typical
// value.
bool can_plant(const Law& law);

struct Planted {
  const Law* law = nullptr;
  Objective objective{};                  // the noise lies in its residual
  std::vector<double> coefficients{};     // the truth
  std::map<std::string, double> fixed{};  // coefficients that are known from elsewhere
  std::vector<std::vector<double>> at{};  // the design's points, one vector of inputs a row
};

// The law's default design: one input takes 8 values with two measurements each, two take 6 x 5,
// three 5 x 4 x 3, more lie on 120 points of five values an input; or what the law plans itself.
// Fails for a law that cannot be planted.
Planted plant(const Law& law);

// One noisy measurement of the truth at a point.
double measure(const Planted& planted, const std::vector<double>& at, double normal);

// The design's rows with noise drawn from (seed, ladder): columns named like the law's inputs and
// its target.
Table simulate(const Planted& planted, uint64_t seed, uint64_t ladder);

// Where a ladder is extrapolated to: every logarithmic input `factor` times beyond its largest
// value, the linear ones (bits, proportions, dates) at their largest.
std::vector<double> beyond(const Law& law, double factor);

}  // namespace rung
