#include "law/rollout.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "law/select.h"
#include "law/solve.h"

namespace rung {
namespace {

// The selected rows grouped into rungs by the ordering quantity, smallest first.
struct Ladder {
  Selection selection;
  std::vector<double> order;               // per selected row
  std::vector<std::vector<size_t>> rungs;  // positions of each rung's rows
};

std::vector<double> order_values(const Table& table, const Selection& selection,
                                 const Candidate& candidate, const std::string& name) {
  if (const auto known = selection.quantities.find(name); known != selection.quantities.end())
    return known->second;
  const Column* column = match_column(table, name, candidate.options.columns);
  if (!column)
    fail_usage("[rollout] {} has no column {} to order the rungs by.", table.source, name);
  std::vector<double> values;
  for (const size_t row : selection.rows) values.push_back(column->values[row]);
  return values;
}

// Rungs whose ordering values agree within 0.1 % are one rung (repeats of it).
Ladder make_ladder(const Table& table, const Candidate& candidate, const RolloutOptions& options) {
  Ladder ladder{.selection = select_rows(table, candidate.options)};
  ladder.order = order_values(table, ladder.selection, candidate, options.order);
  std::vector<size_t> sorted(ladder.order.size());
  std::iota(sorted.begin(), sorted.end(), size_t{0});
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](size_t a, size_t b) { return ladder.order[a] < ladder.order[b]; });
  for (const size_t at : sorted) {
    const bool repeat = !ladder.rungs.empty() &&
                        ladder.order[at] <= 1.001 * ladder.order[ladder.rungs.back().front()];
    if (!repeat) ladder.rungs.emplace_back();
    ladder.rungs.back().push_back(at);
  }
  return ladder;
}

std::vector<size_t> rows_of(const Ladder& ladder, size_t first, size_t last) {
  std::vector<size_t> rows;
  for (size_t rung = first; rung < last; ++rung)
    rows.insert(rows.end(), ladder.rungs[rung].begin(), ladder.rungs[rung].end());
  return rows;
}

double mean_error(const RolloutStep& step, size_t first, size_t count) {
  double sum = 0.0;
  for (size_t i = first; i < first + count; ++i) sum += step.error[i];
  return sum / static_cast<double>(count);
}

// Fits rungs [first, last) and predicts all from `last` on.
RolloutStep predict_rest(const Ladder& ladder, const Candidate& candidate, size_t first,
                         size_t last) {
  const Selection fitted = subset(ladder.selection, rows_of(ladder, first, last));
  const Problem problem = make_problem(fitted, candidate.options);
  const Solution solution = solve(problem).solution;
  if (!std::isfinite(solution.objective))
    fail("[rollout] No finite fit. Received {} rows.", fitted.rows.size());
  const Vector c = coefficients_of(problem, solution.theta);
  const std::vector<size_t> held = rows_of(ladder, last, ladder.rungs.size());
  const Selection unseen = subset(ladder.selection, held);
  RolloutStep step{.held_out = static_cast<int>(ladder.rungs.size() - last),
                   .points = fitted.rows.size()};
  step.coefficients.assign(c.data(), c.data() + c.size());
  step.rows = unseen.rows;
  Problem ahead = problem;
  ahead.data = &unseen.data;
  step.error = residuals(ahead, c);
  for (double& error : step.error) error = -error;
  double largest = 0.0;
  for (const size_t at : rows_of(ladder, first, last))
    largest = std::max(largest, ladder.order[at]);
  for (const size_t at : held) step.ahead.push_back(ladder.order[at] / largest);
  const size_t nearest = ladder.rungs[last].size(), farthest = ladder.rungs.back().size();
  step.next_error = mean_error(step, 0, nearest);
  step.far_error = mean_error(step, step.error.size() - farthest, farthest);
  return step;
}

// Mean square over every predicted rung of every step; returns how many there were.
double mean_square(const std::vector<RolloutStep>& steps, size_t& count) {
  double sum = 0.0;
  count = 0;
  for (const RolloutStep& step : steps)
    for (const double error : step.error) {
      sum += error * error;
      ++count;
    }
  return count ? sum / static_cast<double>(count) : 0.0;
}

}  // namespace

Rollout roll_out(const Table& table, const Candidate& candidate, const RolloutOptions& options) {
  Rollout rollout{.label = candidate.label};
  rollout.score = unbounded;
  const Ladder ladder = make_ladder(table, candidate, options);
  const size_t first = static_cast<size_t>(std::max(0, candidate.drop_smallest));
  for (int held = 1; held <= options.max_hold_out; ++held) {
    if (first + held + 1 > ladder.rungs.size()) break;
    const size_t last = ladder.rungs.size() - held;
    if (rows_of(ladder, first, last).size() < static_cast<size_t>(options.min_points)) break;
    try {
      rollout.steps.push_back(predict_rest(ladder, candidate, first, last));
    } catch (const Error& error) {
      if (error.kind == Failure::usage) throw;
      rollout.problem = error.what();
      break;
    }
  }
  if (rollout.steps.empty()) {
    if (rollout.problem.empty())
      rollout.problem = fmt::format("{} rungs with {} dropped leave fewer than {} rows to refit",
                                    ladder.rungs.size(), first, options.min_points);
    return rollout;
  }
  size_t count = 0;
  rollout.score =
      std::sqrt(mean_square(rollout.steps, count) + options.noise_floor * options.noise_floor);
  return rollout;
}

std::vector<Rollout> score_candidates(const Table& table, const std::vector<Candidate>& candidates,
                                      const RolloutOptions& options) {
  std::vector<Rollout> results;
  for (const Candidate& candidate : candidates)
    results.push_back(roll_out(table, candidate, options));
  double best = unbounded, sum = 0.0;
  size_t steps = 1;
  for (const Rollout& result : results) {
    best = std::min(best, result.score);
    steps = std::max(steps, result.steps.size());
  }
  for (Rollout& result : results) {
    if (!std::isfinite(result.score)) continue;
    result.weight = std::pow(best / result.score, static_cast<double>(steps));
    sum += result.weight;
  }
  for (Rollout& result : results)
    result.weight = sum > 0.0 ? result.weight / sum : 1.0 / static_cast<double>(results.size());
  return results;
}

std::vector<Candidate> make_candidates(const std::vector<FitOptions>& laws, int max_drop) {
  std::vector<Candidate> candidates;
  for (const FitOptions& options : laws)
    for (int drop = 0; drop <= max_drop; ++drop)
      candidates.push_back(
          {drop == 0 ? options.law : fmt::format("{}, {} smallest dropped", options.law, drop),
           options, drop});
  return candidates;
}

Fit fit_candidate(const Table& table, const Candidate& candidate, const RolloutOptions& options) {
  const Ladder ladder = make_ladder(table, candidate, options);
  const size_t first =
      std::min(static_cast<size_t>(std::max(0, candidate.drop_smallest)), ladder.rungs.size() - 1);
  std::vector<char> keep(table.rows, 0);
  for (const size_t at : rows_of(ladder, first, ladder.rungs.size()))
    keep[ladder.selection.rows[at]] = 1;
  Table part{.header_lines = table.header_lines, .source = table.source};
  for (const Column& column : table.columns) {
    Column kept{.name = column.name};
    for (size_t row = 0; row < table.rows; ++row) {
      if (!keep[row]) continue;
      kept.values.push_back(column.values[row]);
      if (!column.text.empty()) kept.text.push_back(column.text[row]);
    }
    part.rows = kept.values.size();
    part.columns.push_back(std::move(kept));
  }
  FitOptions fit_options = candidate.options;
  fit_options.where.clear();
  fit_options.refuse = false;
  return fit_law(part, fit_options);
}

double excess_error(const Rollout& rollout, double noise) {
  double sum = 0.0, count = 0.0;
  for (const RolloutStep& step : rollout.steps)
    for (const double error : step.error) {
      sum += error * error;
      count += 1.0;
    }
  return count > 0.0 ? std::sqrt(std::max(0.0, sum / count - noise * noise)) : 0.0;
}

}  // namespace rung
