#include "law/draws.h"

#include <algorithm>
#include <cmath>

namespace rung {
namespace {

// Behind the last of the consecutive rows that belong to the run of row `first`.
size_t end_of_run(const Observations& data, int run_input, size_t first) {
  const auto run = [&](size_t row) { return data.x[row * 2 * data.inputs + run_input]; };
  size_t last = first;
  while (last < data.rows() && run(last) == run(first)) ++last;
  return last;
}

// A block is about the root of its run's rows long.
size_t block_length(size_t rows) {
  return static_cast<size_t>(std::ceil(std::sqrt(static_cast<double>(rows))));
}

}  // namespace

double degrees_of_freedom(const Problem& problem) {
  return std::max(1.0, static_cast<double>(problem.data->rows()) - problem.free_count());
}

Observations draw_rows(const Observations& data, const std::vector<int>& cluster, Random& random) {
  const size_t units =
      cluster.empty() ? data.rows()
                      : static_cast<size_t>(*std::max_element(cluster.begin(), cluster.end())) + 1;
  std::vector<int> times(units, 0);
  for (size_t i = 0; i < units; ++i) ++times[random.below(units)];
  Observations result{.inputs = data.inputs};
  for (size_t i = 0; i < data.rows(); ++i) {
    const int count = times[cluster.empty() ? i : static_cast<size_t>(cluster[i])];
    if (count > 0)
      result.push(data.x.data() + 2 * data.inputs * i, data.loss[i], data.weight[i] * count);
  }
  return result;
}

Observations draw_blocks(const Observations& data, int run_input, Random& random) {
  const size_t width = 2 * data.inputs;
  std::vector<unsigned> times(data.rows(), 0);
  for (size_t first = 0; first < data.rows();) {
    const size_t last = end_of_run(data, run_input, first);
    const size_t rows = last - first;
    const size_t length = block_length(rows);
    for (size_t drawn = 0; drawn < rows;) {
      const size_t begin = random.below(rows);
      for (size_t i = 0; i < length && drawn < rows; ++i, ++drawn)
        ++times[first + (begin + i) % rows];
    }
    first = last;
  }
  Observations result{.inputs = data.inputs};
  for (size_t i = 0; i < data.rows(); ++i)
    if (times[i] > 0)
      result.push(data.x.data() + width * i, data.loss[i], data.weight[i] * times[i]);
  return result;
}

double block_widening(const Problem& problem) {
  const Observations& data = *problem.data;
  double blocks = 0.0, lost = 0.0;
  for (size_t first = 0; first < data.rows();) {
    const size_t last = end_of_run(data, problem.law->run_input, first);
    const size_t rows = last - first;
    blocks += static_cast<double>(rows) / static_cast<double>(block_length(rows));
    lost += 1.0;
    first = last;
  }
  const double n = static_cast<double>(data.rows());
  return std::sqrt(blocks / std::max(1.0, blocks - lost) * n / degrees_of_freedom(problem));
}

Observations draw_noise(const Problem& problem, const std::vector<double>& prediction,
                        const std::vector<double>& noise, double factor, Random& random) {
  Observations result = *problem.data;
  for (size_t i = 0; i < result.rows(); ++i) {
    const double shift = factor * noise[i] * random.normal();
    result.loss[i] = with_residual(problem.objective, prediction[i], shift);
    result.log_loss[i] = std::log(result.loss[i]);
  }
  return result;
}

void draw_priors(Problem& resampled, const Vector& theta, bool from_law, Random& random) {
  for (ThetaPrior& prior : resampled.priors)
    prior.mean = (from_law ? theta[prior.coefficient] : prior.mean) + prior.sd * random.normal();
}

}  // namespace rung
