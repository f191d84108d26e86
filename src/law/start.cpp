#include "law/start.h"

#include <algorithm>
#include <cmath>

namespace rung {
namespace {

// The values that one coefficient takes on the grid, as theta.
std::vector<double> grid_values(const Problem& problem, int index, bool coarse) {
  const Coefficient& coefficient = problem.law->coefficients[index];
  const double bound_lo = problem.lo[index], bound_hi = problem.hi[index];
  if (problem.fixed(index)) return {bound_lo};
  double lo = bound_lo, hi = bound_hi;
  if (coefficient.along_input < 0) {
    lo = std::max(lo, to_theta(coefficient, coefficient.grid_lo));
    hi = std::min(hi, to_theta(coefficient, coefficient.grid_hi));
    if (lo > hi) lo = bound_lo, hi = bound_hi;
  }
  std::vector<double> values;
  const int points = coarse ? std::max(3, coefficient.grid_points / 4) : coefficient.grid_points;
  for (int i = 0; i < points; ++i) {
    // A break's place starts inside the range; the others include its ends.
    const double at =
        coefficient.along_input >= 0 ? (i + 1.0) / (points + 1.0) : i / std::max(points - 1.0, 1.0);
    values.push_back(lo + at * (hi - lo));
  }
  return values;
}

// Minimises |basis x - target|^2 from the normal equations with x >= 0, by trying every support
// (few columns).
Vector non_negative(const Matrix& gram, const Vector& moment) {
  const int n = static_cast<int>(moment.size());
  Vector best = Vector::Zero(n);
  double best_value = 0.0;
  for (unsigned support = 1; support < (1u << n); ++support) {
    std::vector<int> used;
    for (int i = 0; i < n; ++i)
      if (support >> i & 1u) used.push_back(i);
    const Matrix part = gram(used, used);
    const Vector right = moment(used);
    const Vector solved = part.ldlt().solve(right);
    if (!solved.allFinite() || solved.minCoeff() < 0.0) continue;
    const double value = 0.5 * solved.dot(part * solved) - right.dot(solved);
    if (value >= best_value) continue;
    best_value = value;
    best.setZero();
    for (size_t i = 0; i < used.size(); ++i) best[used[i]] = solved[i];
  }
  return best;
}

// Fills in the linear coefficients of `theta`, whose non-linear ones are set.
void project(const Problem& problem, const std::vector<int>& linear, std::vector<double>& jets,
             Vector& theta) {
  const Law& law = *problem.law;
  const Observations& data = *problem.data;
  const int n = static_cast<int>(linear.size());
  Vector c = coefficients_of(problem, theta);
  for (const int i : linear) c[i] = 1.0;
  const size_t width = jet_size(1, law.coefficients.size());
  jets.resize(data.rows() * width);
  law.evaluate(law, c.data(), data.x.data(), data.rows(), 1, jets.data());
  Matrix gram = Matrix::Zero(n, n);
  Vector moment = Vector::Zero(n), column(n);
  for (size_t row = 0; row < data.rows(); ++row) {
    const double* jet = jets.data() + row * width;
    const double relative = 1.0 / data.loss[row];
    double rest = data.loss[row] - jet[0];  // what is left for the linear terms
    for (int i = 0; i < n; ++i) {
      column[i] = jet[1 + linear[i]] * relative;
      rest += jet[1 + linear[i]];
    }
    gram.noalias() += data.weight[row] * column * column.transpose();
    moment.noalias() += data.weight[row] * rest * relative * column;
  }
  Vector scale = gram.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  gram = scale.asDiagonal() * gram * scale.asDiagonal();
  moment = scale.asDiagonal() * moment;
  const Vector solved = non_negative(gram, moment);
  for (int i = 0; i < n; ++i) {
    // A vanished term starts small rather than at zero: its logarithm must be finite.
    const Coefficient& coefficient = law.coefficients[linear[i]];
    const double least =
        coefficient.scale == Scale::log ? 1e-4 * std::fabs(moment[i]) + 1e-300 : 0.0;
    const double value = std::max(solved[i], least) * scale[i];
    theta[linear[i]] =
        std::clamp(to_theta(coefficient, value), problem.lo[linear[i]], problem.hi[linear[i]]);
  }
}

struct Grid {
  std::vector<std::vector<double>> values;  // per non-linear coefficient
  std::vector<size_t> stride;
  size_t cells = 1;
};

// A cell is a local minimum when no neighbour along one axis is lower.
bool local_minimum(const Grid& grid, const std::vector<Start>& cells, size_t cell) {
  for (size_t axis = 0; axis < grid.values.size(); ++axis) {
    const size_t size = grid.values[axis].size();
    const size_t at = cell / grid.stride[axis] % size;
    if (at > 0 && cells[cell - grid.stride[axis]].objective < cells[cell].objective) return false;
    if (at + 1 < size && cells[cell + grid.stride[axis]].objective < cells[cell].objective)
      return false;
  }
  return true;
}

}  // namespace

std::vector<Start> grid_starts(const Problem& problem, size_t count, bool coarse) {
  std::vector<int> linear, curved;
  for (int i = 0; i < problem.size(); ++i) {
    const bool eliminated = problem.law->coefficients[i].linear && !problem.fixed(i);
    (eliminated ? linear : curved).push_back(i);
  }
  Grid grid;
  for (const int i : curved) {
    grid.stride.push_back(grid.cells);
    grid.values.push_back(grid_values(problem, i, coarse));
    grid.cells *= grid.values.back().size();
  }
  std::vector<Start> cells(grid.cells);
  std::vector<double> jets;
  for (size_t cell = 0; cell < grid.cells; ++cell) {
    Vector theta = Vector::Zero(problem.size());
    for (size_t axis = 0; axis < curved.size(); ++axis)
      theta[curved[axis]] = grid.values[axis][cell / grid.stride[axis] % grid.values[axis].size()];
    project(problem, linear, jets, theta);
    cells[cell] = {theta, objective_at(problem, theta)};
  }
  std::vector<Start> starts;
  for (size_t cell = 0; cell < grid.cells; ++cell)
    if (local_minimum(grid, cells, cell)) starts.push_back(cells[cell]);
  std::stable_sort(starts.begin(), starts.end(),
                   [](const Start& a, const Start& b) { return a.objective < b.objective; });
  if (starts.size() > count) starts.resize(count);
  return starts;
}

}  // namespace rung
