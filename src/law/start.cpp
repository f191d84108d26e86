#include "law/start.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rung {
namespace {

// Where the caller holds coefficients that the grid counts on, the others get more points.
constexpr double fine_cells = 256.0;

double refinement(const Problem& problem) {
  double cells = 1.0, all = 1.0;
  int axes = 0;
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& c = problem.law->coefficients[i];
    if (c.linear || c.grid_points < 2) continue;
    all *= c.grid_points;
    if (problem.fixed(i)) continue;
    cells *= c.grid_points;
    ++axes;
  }
  const double wanted = std::min(fine_cells, all);
  return axes == 0 || cells >= wanted ? 1.0 : std::pow(wanted / cells, 1.0 / axes);
}

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
  const int fine = coefficient.grid_points;
  const int points = coarse && coefficient.along_input < 0 ? std::min(fine, std::max(3, fine / 4))
                     : fine > 1 ? static_cast<int>(std::lround(refinement(problem) * fine))
                                : fine;
  for (int i = 0; i < points; ++i) {
    // A break's place starts inside the range; the others include its ends.
    const double at =
        coefficient.along_input >= 0 ? (i + 1.0) / (points + 1.0) : i / std::max(points - 1.0, 1.0);
    values.push_back(lo + at * (hi - lo));
  }
  return values;
}

// Minimises |basis x - target|^2 from the normal equations, x >= 0 except where `free`: Lawson and
// Hanson's active sets, the free columns in from the start.
Vector bounded_squares(const Matrix& gram, const Vector& moment, const std::vector<char>& free) {
  const int n = static_cast<int>(moment.size());
  std::vector<char> inside = free;
  Vector x = Vector::Zero(n);
  const auto solve_inside = [&] {
    std::vector<int> used;
    for (int i = 0; i < n; ++i)
      if (inside[i]) used.push_back(i);
    Vector result = Vector::Zero(n);
    if (used.empty()) return result;
    const Matrix part = gram(used, used);
    const Vector right = moment(used);
    const Vector solved = part.ldlt().solve(right);
    for (size_t i = 0; i < used.size(); ++i) result[used[i]] = solved[i];
    return result;
  };
  for (int round = 0; round < 3 * n + 1; ++round) {
    Vector goal = solve_inside();
    // Back to the first column that would turn negative, until none does.
    for (int cut = 0; cut < n; ++cut) {
      double share = 1.0;
      int leaves = -1;
      for (int i = 0; i < n; ++i) {
        if (!inside[i] || free[i] || goal[i] > 0.0) continue;
        const double reach = x[i] > goal[i] ? x[i] / (x[i] - goal[i]) : 0.0;
        if (reach < share) share = reach, leaves = i;
      }
      if (leaves < 0) break;
      x += share * (goal - x);
      x[leaves] = 0.0;
      inside[leaves] = 0;
      goal = solve_inside();
    }
    if (!goal.allFinite()) break;
    x = goal;
    const Vector pull = moment - gram * x;
    const double least = 1e-10 * moment.cwiseAbs().maxCoeff();
    int enters = -1;
    for (int i = 0; i < n; ++i)
      if (!inside[i] && pull[i] > least && (enters < 0 || pull[i] > pull[enters])) enters = i;
    if (enters < 0) break;
    inside[enters] = 1;
  }
  return x;
}

// A least-squares problem by its normal equations: gram x = moment.
struct Normal {
  Matrix gram;
  Vector moment;
};

// For the linear coefficients, which `c` holds at `unit`: in the objective's residuals, or in logs
// for a log-linear law.
Normal normal_equations(const Problem& problem, const std::vector<int>& linear, const Vector& c,
                        double unit, std::vector<double>& jets) {
  const Law& law = *problem.law;
  const Observations& data = *problem.data;
  const int n = static_cast<int>(linear.size());
  const size_t width = jet_size(1, law.coefficients.size());
  jets.resize(data.rows() * width);
  law.evaluate(law, c.data(), data.x.data(), data.rows(), 1, jets.data());
  Normal normal{Matrix::Zero(n, n), Vector::Zero(n)};
  const bool tied = !problem.tied_to.empty();
  Vector column(n);
  for (size_t row = 0; row < data.rows(); ++row) {
    const double* jet = jets.data() + row * width;
    double scale = problem.objective.log_residual ? 1.0 / data.loss[row] : 1.0;
    double rest = (data.loss[row] - jet[0]) * scale;  // what is left for the linear terms
    if (law.log_linear) {
      if (!(data.loss[row] > 0.0)) continue;
      scale = 1.0 / jet[0];
      rest = std::log(data.loss[row] * scale);
    }
    for (int i = 0; i < n; ++i) {
      double basis = jet[1 + linear[i]];
      for (int follower = 0; tied && follower < problem.size(); ++follower)
        if (problem.tied(follower) && problem.leader(follower) == linear[i])
          basis += jet[1 + follower];
      column[i] = basis * scale;
      rest += unit * column[i];
    }
    normal.gram.noalias() += data.weight[row] * column * column.transpose();
    normal.moment.noalias() += data.weight[row] * rest * column;
  }
  return normal;
}

// Fills in the linear coefficients of `theta`, whose non-linear ones are set.
void project(const Problem& problem, const std::vector<int>& linear, std::vector<double>& jets,
             Vector& theta) {
  if (linear.empty()) return;
  const Law& law = *problem.law;
  const int n = static_cast<int>(linear.size());
  if (n == 0) return;
  // A log-linear law is taken at theta = 0, every other one at coefficients of one.
  const double unit = law.log_linear ? 0.0 : 1.0;
  Vector c = coefficients_of(problem, theta);
  std::vector<char> free;
  for (const int i : linear) {
    const bool logs = law.coefficients[i].scale == Scale::log;
    c[i] = logs ? 1.0 : unit;
    free.push_back(logs ? law.log_linear : problem.lo[i] < 0.0);
  }
  for (int i = 0; i < problem.size(); ++i) c[i] = c[problem.leader(i)];
  Normal normal = normal_equations(problem, linear, c, unit, jets);
  const Vector scale = normal.gram.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  normal.gram = scale.asDiagonal() * normal.gram * scale.asDiagonal();
  normal.moment = scale.asDiagonal() * normal.moment;
  const Vector solved = bounded_squares(normal.gram, normal.moment, free);
  for (int k = 0; k < n; ++k) {
    const int i = linear[k];
    double value = solved[k] * scale[k];
    if (law.coefficients[i].scale == Scale::log && !law.log_linear) {
      // A vanished term starts small rather than at zero: its logarithm must be finite.
      const double least = (1e-4 * std::fabs(normal.moment[k]) + 1e-300) * scale[k];
      value = std::log(std::max(value, least));
    }
    theta[i] = std::clamp(value, problem.lo[i], problem.hi[i]);
  }
}

struct Grid {
  std::vector<int> axes;                    // the coefficient of each
  std::vector<std::vector<double>> values;  // per axis
  std::vector<size_t> stride;
  size_t cells = 1;

  size_t at(size_t cell, size_t axis) const { return cell / stride[axis] % values[axis].size(); }
};

// Larger grids are sampled: laws with many non-linear coefficients.
constexpr size_t most_cells = 20000, sampled_cells = 4096;

// The i-th point of the van der Corput sequence of a base, in [0, 1).
double van_der_corput(size_t i, unsigned base) {
  double result = 0.0, share = 1.0;
  for (; i > 0; i /= base) {
    share /= base;
    result += share * static_cast<double>(i % base);
  }
  return result;
}

// The cells to look at: all, or an even sample (Halton's sequence).
std::vector<size_t> cells_of(const Grid& grid) {
  constexpr unsigned primes[max_coefficients] = {2,  3,  5,  7,   11,  13,  17,  19,  23,  29, 31,
                                                 37, 41, 43, 47,  53,  59,  61,  67,  71,  73, 79,
                                                 83, 89, 97, 101, 103, 107, 109, 113, 127, 131};
  std::vector<size_t> cells(
      std::min(grid.cells, grid.cells > most_cells ? sampled_cells : most_cells));
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i] = i;
    if (grid.cells <= most_cells) continue;
    cells[i] = 0;
    for (size_t axis = 0; axis < grid.axes.size(); ++axis) {
      const double size = static_cast<double>(grid.values[axis].size());
      cells[i] +=
          grid.stride[axis] * static_cast<size_t>(size * van_der_corput(i + 1, primes[axis]));
    }
  }
  return cells;
}

// A cell is a local minimum when no neighbour along one axis is lower.
bool local_minimum(const Grid& grid, const std::vector<Start>& starts, size_t cell) {
  for (size_t axis = 0; axis < grid.axes.size(); ++axis) {
    const size_t at = grid.at(cell, axis), stride = grid.stride[axis];
    if (at > 0 && starts[cell - stride].objective < starts[cell].objective) return false;
    if (at + 1 < grid.values[axis].size() &&
        starts[cell + stride].objective < starts[cell].objective)
      return false;
  }
  return true;
}

// The best of a sample that lie apart: 15 % of an axis or more from every better one.
std::vector<Start> spread_starts(const Grid& grid, const std::vector<size_t>& cells,
                                 std::vector<Start> starts, size_t count) {
  std::vector<size_t> order(cells.size()), taken;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return starts[a].objective < starts[b].objective; });
  std::vector<Start> result;
  for (const size_t i : order) {
    const bool near = std::any_of(taken.begin(), taken.end(), [&](size_t other) {
      for (size_t axis = 0; axis < grid.axes.size(); ++axis) {
        const double gap = std::fabs(static_cast<double>(grid.at(cells[i], axis)) -
                                     static_cast<double>(grid.at(cells[other], axis)));
        if (gap > 0.15 * static_cast<double>(grid.values[axis].size())) return false;
      }
      return true;
    });
    if (near) continue;
    taken.push_back(i);
    result.push_back(starts[i]);
    if (result.size() == count) break;
  }
  return result;
}

}  // namespace

std::vector<Start> grid_starts(const Problem& problem, size_t count, bool coarse) {
  std::vector<int> linear;
  Grid grid;
  for (int i = 0; i < problem.size(); ++i) {
    if (problem.law->coefficients[i].linear && !problem.fixed(i)) {
      linear.push_back(i);
      continue;
    }
    grid.axes.push_back(i);
    grid.stride.push_back(grid.cells);
    grid.values.push_back(grid_values(problem, i, coarse));
    grid.cells *= grid.values.back().size();
  }
  const std::vector<size_t> cells = cells_of(grid);
  std::vector<Start> all(cells.size());
  std::vector<double> jets;
  for (size_t i = 0; i < cells.size(); ++i) {
    Vector theta = Vector::Zero(problem.size());
    for (size_t axis = 0; axis < grid.axes.size(); ++axis)
      theta[grid.axes[axis]] = grid.values[axis][grid.at(cells[i], axis)];
    project(problem, linear, jets, theta);
    all[i] = {theta, objective_at(problem, theta)};
  }
  if (cells.size() < grid.cells) return spread_starts(grid, cells, std::move(all), count);
  std::vector<Start> starts;
  for (size_t cell = 0; cell < all.size(); ++cell)
    if (local_minimum(grid, all, cell)) starts.push_back(all[cell]);
  std::stable_sort(starts.begin(), starts.end(),
                   [](const Start& a, const Start& b) { return a.objective < b.objective; });
  // A full grid shows every basin, and those of narrow ones lie high: more of them are looked at.
  const size_t most = coarse ? count : 4 * count;
  if (starts.size() > most) starts.resize(most);
  return starts;
}

}  // namespace rung
