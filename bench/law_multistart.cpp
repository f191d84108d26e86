// Does the fitter find the optimum? Every stored set is perturbed, and every law's planted ladder
// drawn anew, fitted, and compared with the best of many random starts of the same polish
// (multistart_reference.h).
//
//   law_multistart [--perturbations 1000] [--starts 5000] [--thorough 100] [--lead 0] [--threads 0]
//                  [--seed 0] [--seconds 0] [--laws a,b] [--only TEXT] [--planted 1] [--record
//                  FILE]
//                  [--verify 0] [--data FOLDER]
//
// Prints a Markdown table: the worst relative excess of the fitter's objective over the reference
// (bar: 1e-6), how many draws missed the bar, how many of the starts that are always polished to
// the end (--thorough) came within 1e-6 of the best. Cheap sets come first; after --seconds (0: no
// limit) the draws completed by then are reported. FILE gathers completed draws as they come about;
// a further run takes them as done and goes on. FOLDER holds the sets that the project does not
// ship (default: $RUNG_LAW_DATA, else ../shared/data/laws); absent ones are left out. --laws keeps
// the sets of these laws, --only those whose label holds TEXT, --set the one with LABEL. --verify 1
// says what ending starts upon earlier paths hides: how many ended so, how many of these would have
// ended lower than that path, how many lower than the best. Exit status 1 where a draw missed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
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
#include "multistart_record.h"

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

using Clock = std::chrono::steady_clock;

// The median of the sizes.
double typical_size(std::vector<double> values) {
  for (double& value : values) value = std::fabs(value);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Outcome compare(Selection drawn, const FitOptions& options, const Effort& effort, Random& random) {
  drawn.data = grouped(drawn.data);
  const Problem problem = make_problem(drawn, options);
  const Solution fitted = solve(problem).solution;
  const Reference reference =
      multistart(problem, fitted, typical_size(drawn.data.loss), effort, random);
  return {fitted.objective / reference.best - 1.0, reference};
}

// A set: how its i-th draw comes about, and how it is fitted.
struct Set {
  std::string label;
  const Law* law = nullptr;
  FitOptions options;
  std::function<Selection(size_t, Random&)> draw;
  double cost = 0.0;  // processor seconds of a trial, measured

  Outcome run(uint64_t seed, size_t i, const Effort& effort) const {
    if (!effort.in_time()) return {};
    Random random(seed, "multistart", i);
    return compare(draw(i, random), options, effort, random);
  }
};

// What a stored table's draws perturb.
struct Stored {
  Selection selection;
  Problem problem;
  Vector optimum;
};

Set stored_set(const Case& c) {
  auto stored = std::make_shared<std::vector<Stored>>();
  stored->reserve(c.tables.size());
  for (const Table& table : c.tables) {
    stored->push_back({.selection = select_rows(table, c.options)});
    Stored& last = stored->back();
    last.problem = make_problem(last.selection, c.options);
    last.optimum = solve(last.problem).solution.theta;
  }
  const auto draw = [stored](size_t i, Random& random) {
    const Stored& s = (*stored)[i % stored->size()];
    return perturbed(s.selection, s.problem, s.optimum, random);
  };
  return {c.label, stored->front().selection.law, c.options, draw};
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
      {"--starts", "5000"},
      {"--thorough", "100"},
      {"--lead", "0"},
      {"--threads", "0"},
      {"--seed", "0"},
      {"--seconds", "0"},
      {"--laws", ""},
      {"--only", ""},
      {"--set", ""},
      {"--planted", "1"},
      {"--record", ""},
      {"--verify", "0"},
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
  const std::string& set = arguments.at("--set");
  const std::string& names = arguments.at("--laws");
  return (set.empty() || label == set) && label.find(only) != std::string::npos &&
         (names.empty() || ("," + names + ",").find(fmt::format(",{},", law)) != std::string::npos);
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
  const Effort trial{.starts = 60, .thorough = 5, .in_time = [] { return true; }};
  parallel_for(sets.size(), threads, [&](size_t i) {
    const double begin = processor_seconds();
    sets[i].run(seed, 0, trial);
    sets[i].cost = processor_seconds() - begin;
  });
  std::stable_sort(sets.begin(), sets.end(),
                   [](const Set& a, const Set& b) { return a.cost < b.cost; });
}

// One row; true when no draw ended above the reference by more than the bar.
bool print_row(const Set& set, const std::map<size_t, Outcome>& outcomes, const Effort& effort) {
  constexpr double bar = 1e-6;
  if (outcomes.empty()) return true;
  double worst = -INFINITY, share = 0.0;
  size_t missed = 0;
  int merged = 0, strayed = 0, hidden = 0;
  for (const auto& [draw, o] : outcomes) {
    worst = std::max(worst, o.excess);
    missed += !(o.excess <= bar);
    share += o.reference.share;
    merged += o.reference.merged;
    strayed += o.reference.strayed;
    hidden += o.reference.hidden;
  }
  const auto draws = outcomes.size();
  fmt::print("| {} | {} | {} x {} | {:.1e} | {} | {:.1f} % |", set.label, set.law->name, draws,
             effort.starts, worst, missed, 100 * share / static_cast<double>(draws));
  if (effort.verify) fmt::print(" {} | {} | {} |", merged, strayed, hidden);
  fmt::print("\n");
  return missed == 0;
}

int run(int count, char** values) {
  const auto begin = Clock::now();
  const auto arguments = read_arguments(count, values);
  const size_t perturbations = std::stoull(arguments.at("--perturbations"));
  const int threads = std::stoi(arguments.at("--threads"));
  const double seconds = std::stod(arguments.at("--seconds"));
  const uint64_t seed = std::stoull(arguments.at("--seed"));
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const Effort effort{.starts = std::stoi(arguments.at("--starts")),
                      .thorough = std::stoi(arguments.at("--thorough")),
                      .lead = std::stoull(arguments.at("--lead")),
                      .verify = arguments.at("--verify") != "0",
                      .in_time = [&] { return seconds <= 0.0 || elapsed() < seconds; }};
  std::vector<Set> sets = read_sets(arguments, seed);
  order_by_cost(sets, seed, threads);
  Record record(arguments.at("--record"), effort);
  std::vector<std::pair<const Set*, size_t>> todo;
  for (const Set& set : sets)
    for (size_t draw = 0; draw < perturbations; ++draw)
      if (!record.has(set.label, draw)) todo.emplace_back(&set, draw);
  parallel_for(todo.size(), threads, [&](size_t i) {
    const auto& [set, draw] = todo[i];
    const Outcome outcome = set->run(seed, draw, effort);
    if (outcome.reference.complete) record.add(set->label, draw, outcome);
  });
  fmt::print(
      "| set | law | draws x starts | worst excess | missed | starts that reach the best |{}\n",
      effort.verify ? " merged | strayed | hidden |" : "");
  fmt::print("|---|---|---|---|---|---|{}\n", effort.verify ? "---|---|---|" : "");
  bool good = true;
  for (const Set& set : sets) good &= print_row(set, record.of(set.label), effort);
  fmt::print("\n{:.0f} s\n", elapsed());
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
