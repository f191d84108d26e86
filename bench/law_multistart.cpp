// Does the fitter find the optimum? Every stored set is perturbed, and every law's planted ladder
// drawn anew, fitted, and compared with the best of many random starts of the same polish.
//
//   law_multistart [--perturbations 1000] [--first 0] [--starts 5000] [--threads 0] [--seed 0]
//                  [--seconds 0] [--laws a,b] [--only TEXT] [--planted 1] [--done FILE]
//                  [--data FOLDER]
//
// Prints a Markdown table, a row as soon as a set is done: the worst relative excess of the
// fitter's objective over the reference (bar: 1e-6; negative below it), how many draws missed the
// bar, how many starts came within 1e-6 of the best. Cheap sets come first; after --seconds (0: no
// limit) the draws completed by then are reported. FOLDER holds the sets that the project does not
// ship (default: $RUNG_LAW_DATA, else ../shared/data/laws); absent ones are left out. --laws keeps
// the sets of these laws, --only those whose label holds TEXT; --first N begins at draw N, to go on
// where an earlier run ended; --done leaves out those that FILE,
// rows of earlier runs, has with as many draws and starts. Exit status 1 where a draw missed.
//
// A random start is polished until it has converged within 1e-8, or has settled (law/polish.h)
// where ten times the decrease still promised would leave it above the fitter's optimum. The lowest
// one is then polished to the end.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "law/parallel.h"
#include "law/select.h"
#include "law/simulate.h"
#include "law/solve.h"
#include "multistart_cases.h"

using namespace rung;

namespace {

// Measurements with the fit's own scatter added once more.
Selection perturbed(const Selection& selection, const Problem& problem, const Vector& theta,
                    Random& random) {
  Selection result = selection;
  const std::vector<double> left = residuals(problem, coefficients_of(problem, theta));
  for (size_t i = 0; i < result.data.rows(); ++i) {
    double& loss = result.data.loss[i];
    loss = with_residual(problem.objective, loss, left[random.below(left.size())]);
    result.data.log_loss[i] = std::log(loss);
  }
  return result;
}

// Non-linear coefficients anywhere on the start grid's range, each linear term a random share of
// the typical loss.
Vector random_start(const Problem& problem, double typical_loss, Random& random) {
  const Law& law = *problem.law;
  const int k = problem.size();
  Vector theta(k);
  for (int i = 0; i < k; ++i) {
    const Coefficient& c = law.coefficients[i];
    double lo = problem.lo[i], hi = problem.hi[i];
    if (!c.linear && c.along_input < 0) {
      lo = std::max(lo, to_theta(c, c.grid_lo));
      hi = std::min(hi, to_theta(c, c.grid_hi));
    }
    theta[i] = c.linear ? to_theta(c, 1.0) : lo + (hi - lo) * random.uniform();
  }
  const size_t row = random.below(problem.data->rows());
  std::vector<double> jet(jet_size(1, k));
  const Vector at = coefficients_of(problem, theta);
  law.evaluate(law, at.data(), problem.data->x.data() + 2 * problem.data->inputs * row, 1, 1,
               jet.data());
  for (int i = 0; i < k; ++i) {
    if (!law.coefficients[i].linear) continue;
    const double term = std::pow(10.0, -2.0 * random.uniform()) * typical_loss;
    theta[i] = std::clamp(to_theta(law.coefficients[i], term / std::fabs(jet[1 + i])),
                          problem.lo[i], problem.hi[i]);
  }
  return theta;
}

using Clock = std::chrono::steady_clock;
struct Outcome {
  double excess = 0.0, share = 0.0;
  bool complete = false;
};

struct Effort {
  int starts = 0;
  Clock::time_point end;  // work that is not complete by then does not count
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Outcome compare(Selection drawn, const FitOptions& options, const Effort& effort, Random& random) {
  drawn.data = grouped(drawn.data);
  constexpr double near = 1e-6, converged = 1e-8;
  const Problem problem = make_problem(drawn, options);
  const Solution fitted = solve(problem).solution;
  const double ours = fitted.objective;
  const double typical = median(drawn.data.loss);
  Solution lowest{.theta = fitted.theta};
  std::vector<double> reached;
  for (int i = 0; i < effort.starts; ++i) {
    if (Clock::now() > effort.end) return {};
    const PolishOptions until{.settled_tolerance = converged,
                              .abandon_above = std::min(ours, lowest.objective) * (1.0 + near)};
    const Solution found = polish(problem, random_start(problem, typical, random), until);
    reached.push_back(found.objective);
    if (found.objective < lowest.objective) lowest = found;
  }
  const double best = polish(problem, lowest.theta).objective;
  const auto arrived = std::count_if(reached.begin(), reached.end(), [&](double value) {
    return value <= std::min(best, ours) * (1.0 + near);
  });
  return {ours / best - 1.0, static_cast<double>(arrived) / effort.starts, true};
}

// A set: how its i-th draw comes about, and how it is fitted.
struct Set {
  std::string label;
  const Law* law = nullptr;
  FitOptions options;
  std::function<Selection(size_t, Random&)> draw;
  double cost = 0.0;  // processor seconds a start, measured

  Outcome run(uint64_t seed, size_t i, const Effort& effort) const {
    if (Clock::now() > effort.end) return {};
    Random random(seed, "multistart", i);
    return compare(draw(i, random), options, effort, random);
  }
};

Set stored_set(const Case& c) {
  const auto selection =
      std::make_shared<const Selection>(select_rows(read_table(c.file), c.options));
  const Problem problem = make_problem(*selection, c.options);
  const auto draw = [selection, problem, optimum = solve(problem).solution.theta](size_t,
                                                                                  Random& random) {
    return perturbed(*selection, problem, optimum, random);
  };
  return {c.label, selection->law, c.options, draw};
}

Set planted_set(const Law& law, uint64_t seed) {
  const Planted planted = plant(law);
  const FitOptions options{.law = std::string(law.name), .fixed = planted.fixed};
  const auto draw = [planted, options, seed](size_t i, Random&) {
    return select_rows(simulate(planted, seed, i), options);
  };
  return {"planted " + std::string(law.name), &law, options, draw};
}

std::map<std::string, std::string> read_arguments(int count, char** values) {
  const char* folder = std::getenv("RUNG_LAW_DATA");
  std::map<std::string, std::string> arguments = {
      {"--perturbations", "1000"},
      {"--first", "0"},
      {"--starts", "5000"},
      {"--threads", "0"},
      {"--seed", "0"},
      {"--seconds", "0"},
      {"--laws", ""},
      {"--only", ""},
      {"--planted", "1"},
      {"--done", ""},
      {"--data", folder ? folder : "../shared/data/laws"}};
  for (int i = 1; i < count; i += 2) {
    if (!arguments.contains(values[i]) || i + 1 == count)
      fail_usage("[law_multistart] Unknown option or no value. Received {}.", values[i]);
    arguments[values[i]] = values[i + 1];
  }
  return arguments;
}

bool wanted(const std::map<std::string, std::string>& arguments, const std::string& label,
            std::string_view law) {
  const std::string& only = arguments.at("--only");
  const std::string& names = arguments.at("--laws");
  return label.find(only) != std::string::npos &&
         (names.empty() || ("," + names + ",").find(fmt::format(",{},", law)) != std::string::npos);
}

// What a row of this size begins with.
std::string row_head(const Set& set, size_t draws, int starts) {
  return fmt::format("| {} | {} | {} x {} |", set.label, set.law->name, draws, starts);
}

void leave_out_done(std::vector<Set>& sets, const std::string& file, size_t draws, int starts) {
  std::vector<std::string> rows;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) rows.push_back(line);
  std::erase_if(sets, [&](const Set& set) {
    const std::string head = row_head(set, draws, starts);
    return std::any_of(rows.begin(), rows.end(),
                       [&](const std::string& row) { return row.starts_with(head); });
  });
}

std::vector<Set> read_sets(const std::map<std::string, std::string>& arguments, uint64_t seed) {
  std::vector<Set> sets;
  for (const Case& c : cases(arguments.at("--data")))
    if (wanted(arguments, c.label, c.options.law)) sets.push_back(stored_set(c));
  for (const Law* law : laws()) {
    if (arguments.at("--planted") == "0" || !can_plant(*law)) continue;
    if (wanted(arguments, "planted " + std::string(law->name), law->name))
      sets.push_back(planted_set(*law, seed));
  }
  return sets;
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The cheap ones first, so that a limit leaves out as few sets as possible.
void order_by_cost(std::vector<Set>& sets, uint64_t seed, int threads) {
  constexpr int trial = 40;
  parallel_for(sets.size(), threads, [&](size_t i) {
    const double begin = processor_seconds();
    sets[i].run(seed, 0, {trial, Clock::time_point::max()});
    sets[i].cost = (processor_seconds() - begin) / trial;
  });
  std::stable_sort(sets.begin(), sets.end(),
                   [](const Set& a, const Set& b) { return a.cost < b.cost; });
}

// One row; true when no completed draw ended above the reference by more than the bar.
bool print_row(const Set& set, const std::vector<Outcome>& outcomes, int starts) {
  constexpr double bar = 1e-6;
  double worst = -INFINITY, share = 0.0;
  size_t missed = 0, complete = 0;
  for (const Outcome& o : outcomes) {
    if (!o.complete) continue;
    worst = std::max(worst, o.excess);
    missed += o.excess > bar;
    share += o.share;
    ++complete;
  }
  if (complete == 0) return true;
  std::printf("%s %.1e | %zu | %.1f %% |\n", row_head(set, complete, starts).c_str(), worst, missed,
              100 * share / static_cast<double>(complete));
  std::fflush(stdout);
  return missed == 0;
}

int run(int count, char** values) {
  const auto begin = Clock::now();
  const auto arguments = read_arguments(count, values);
  const int perturbations = std::stoi(arguments.at("--perturbations"));
  const size_t first = std::stoull(arguments.at("--first"));
  const int threads = std::stoi(arguments.at("--threads"));
  const double seconds = std::stod(arguments.at("--seconds"));
  const uint64_t seed = std::stoull(arguments.at("--seed"));
  Effort effort{std::stoi(arguments.at("--starts")), Clock::time_point::max()};
  if (seconds > 0.0)
    effort.end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::vector<Set> sets = read_sets(arguments, seed);
  leave_out_done(sets, arguments.at("--done"), perturbations, effort.starts);
  order_by_cost(sets, seed, threads);
  std::printf(
      "| set | law | draws x starts | worst excess | missed | starts that reach the best |\n");
  std::printf("|---|---|---|---|---|---|\n");
  bool good = true;
  for (const Set& set : sets) {
    std::vector<Outcome> outcomes(perturbations);
    parallel_for(outcomes.size(), threads,
                 [&](size_t i) { outcomes[i] = set.run(seed, first + i, effort); });
    good &= print_row(set, outcomes, effort.starts);
  }
  std::printf("\n%.0f s\n", std::chrono::duration<double>(Clock::now() - begin).count());
  return good ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run(count, values);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
