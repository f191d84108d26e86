// A law evaluated along the rows of a fit, and what the rows of a point add to the objective.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "law/problem.h"

namespace rung {

// Rows evaluated per call of a law: the jets stay in the first-level cache.
inline constexpr size_t chunk_rows = 64;

// Calls use(first row, rows, jet) for the law's jet at each point: consecutive rows of equal inputs
// are one.
template <class Use>
void for_points(const Law& law, const Observations& data, const double* c, int order, Use&& use) {
  const size_t width = jet_size(order, law.coefficients.size()), stride = 2 * data.inputs;
  thread_local std::vector<double> jets;  // kept from call to call: fits make very many
  jets.resize(std::max(jets.size(), std::min(chunk_rows, data.rows()) * width));
  for (size_t first = 0; first < data.rows(); first += chunk_rows) {
    const size_t rows = std::min(chunk_rows, data.rows() - first);
    const double* x = data.x.data() + first * stride;
    std::array<size_t, chunk_rows + 1> start{};
    size_t points = 0;
    for (size_t i = 0; i < rows; ++i)
      if (i == 0 || !std::equal(x + i * stride, x + i * stride + data.inputs, x + (i - 1) * stride))
        start[points++] = i;
    start[points] = rows;
    if (points == rows)
      law.evaluate(law, c, x, rows, order, jets.data());
    else
      for (size_t p = 0; p < points; ++p)
        law.evaluate(law, c, x + start[p] * stride, 1, order, jets.data() + p * width);
    for (size_t p = 0; p < points; ++p)
      use(first + start[p], start[p + 1] - start[p], jets.data() + p * width);
  }
}

// Sums over the rows of one point of their weighted penalties and these one's derivatives.
inline PenaltyJet penalty_at(const Objective& objective, const Observations& data, size_t first,
                             size_t rows, double prediction) {
  const double level = objective.log_residual ? std::log(prediction) : prediction;
  const std::vector<double>& measured = objective.log_residual ? data.log_loss : data.loss;
  PenaltyJet sum{};
  for (size_t i = first; i < first + rows; ++i) {
    const PenaltyJet rho = penalty_jet(objective, level - measured[i]);
    sum.value += data.weight[i] * rho.value;
    sum.slope += data.weight[i] * rho.slope;
    sum.curvature += data.weight[i] * rho.curvature;
    sum.majorizer += data.weight[i] * rho.majorizer;
  }
  return sum;
}

}  // namespace rung
