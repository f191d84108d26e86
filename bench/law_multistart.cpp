// Does the fitter find the optimum? Every stored set is perturbed, and every law's planted ladder
// drawn anew, fitted, and compared with the best of many random starts of the same polish.
//
//   law_multistart [--perturbations 1000] [--starts 5000] [--threads 0] [--seed 0] [--data FOLDER]
//                  [--only TEXT] [--planted 1]
//
// Prints a Markdown table: the worst relative excess of the fitter's objective over the reference
// (the bar is 1e-6; negative where the fitter is below it), and how many random starts came within
// 1e-6 of the best. FOLDER holds the sets that the project does not ship (default: $RUNG_LAW_DATA,
// else
// ../shared/data/laws); absent ones are left out. --only keeps the sets whose label holds TEXT;
// planted ladders are labelled `planted NAME`. Where a random start ended lower, the line below
// says how often and by how much at worst.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "law/parallel.h"
#include "law/select.h"
#include "law/simulate.h"
#include "law/solve.h"

using namespace rung;

namespace {

struct Case {
  std::string label, file;
  FitOptions options;
};

std::vector<Case> cases(const std::string& shared) {
  const std::string shipped = "tests/law/data/";
  std::vector<Case> list = {
      {"Epoch, 240 rows", shipped + "chinchilla-epoch/points.csv", {.where = "loss < 3.44"}},
      {"Epoch, 245 rows", shipped + "chinchilla-epoch/points.csv", {}},
      {"kyo", shipped + "chinchilla-kyo/df.csv", {}},
      {"kyo, asymmetric", shipped + "chinchilla-kyo/df.csv", {.objective = "mae-asymmetric"}},
      {"kyo, least squares", shipped + "chinchilla-kyo/df.csv", {.objective = "least-squares"}},
      {"kyo along C, power", shipped + "chinchilla-kyo/df.csv", {.law = "power"}},
      {"kyo along C, broken power", shipped + "chinchilla-kyo/df.csv", {.law = "broken-power"}},
      {"OLMo ladder, 16 rows",
       shared + "/olmo-ladder/ladder_c4_loss_derived.csv",
       {.columns = {{"L", "c4_loss_last5avg"}}, .where = "split == 'train'"}},
      {"step law cells", shared + "/step-law/dense_lr_bs_loss.csv", {.where = "loss < 3.5"}},
  };
  const FitOptions free_base{.law = "data-constrained"};
  FitOptions base = free_base;
  base.fixed = {{"E", std::exp(0.6254804)},
                {"A", std::exp(6.255414)},
                {"B", std::exp(7.3049974)},
                {"alpha", 0.3526596},
                {"beta", 0.3526596}};
  list.push_back({"repeated data, base held", shipped + "data-constrained/points.csv", base});
  list.push_back({"repeated data", shipped + "data-constrained/points.csv", free_base});
  std::erase_if(list, [](const Case& c) { return !std::filesystem::exists(c.file); });
  return list;
}

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

struct Outcome {
  double excess = 0.0, share = 0.0;
};

Outcome compare(const Selection& changed, const FitOptions& options, int starts, Random& random) {
  const Problem problem = make_problem(changed, options);
  const double ours = solve(problem).solution.objective;
  std::vector<double> sorted = changed.data.loss;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  std::vector<double> reached;
  for (int i = 0; i < starts; ++i)
    reached.push_back(
        polish(problem, random_start(problem, sorted[sorted.size() / 2], random)).objective);
  const double best = *std::min_element(reached.begin(), reached.end());
  const auto near = std::count_if(reached.begin(), reached.end(), [&](double value) {
    return value <= std::min(best, ours) * (1.0 + 1e-6);
  });
  return {ours / best - 1.0, static_cast<double>(near) / starts};
}

std::map<std::string, std::string> read_arguments(int count, char** values) {
  const char* folder = std::getenv("RUNG_LAW_DATA");
  std::map<std::string, std::string> arguments = {
      {"--perturbations", "1000"},
      {"--starts", "5000"},
      {"--threads", "0"},
      {"--seed", "0"},
      {"--only", ""},
      {"--planted", "1"},
      {"--data", folder ? folder : "../shared/data/laws"}};
  for (int i = 1; i < count; i += 2) {
    if (!arguments.contains(values[i]) || i + 1 == count)
      fail_usage("[law_multistart] Unknown option or no value. Received {}.", values[i]);
    arguments[values[i]] = values[i + 1];
  }
  return arguments;
}

// One line; true when the fitter never ended above the reference by more than the bar.
bool print_row(const std::string& label, const Problem& problem,
               const std::vector<Outcome>& outcomes) {
  constexpr double bar = 1e-6;
  double worst = -INFINITY, share = 0.0;
  size_t missed = 0;
  for (const Outcome& o : outcomes) {
    worst = std::max(worst, o.excess);
    missed += o.excess > bar;
    share += o.share / static_cast<double>(outcomes.size());
  }
  std::printf("| %s | %s | %s | %zu | %.1e | %zu | %.1f %% |\n", label.c_str(),
              std::string(problem.law->name).c_str(), std::string(problem.objective.name).c_str(),
              outcomes.size(), worst, missed, 100 * share);
  std::fflush(stdout);
  return missed == 0;
}

int run(int count, char** values) {
  auto arguments = read_arguments(count, values);
  const int perturbations = std::stoi(arguments["--perturbations"]);
  const int starts = std::stoi(arguments["--starts"]), threads = std::stoi(arguments["--threads"]);
  const uint64_t seed = std::stoull(arguments["--seed"]);
  std::printf("%d perturbations, %d random starts each\n\n", perturbations, starts);
  std::printf(
      "| set | law | objective | draws | worst excess | missed | starts that reach the best |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  bool good = true;
  const auto wanted = [&](const std::string& label) {
    return label.find(arguments["--only"]) != std::string::npos;
  };
  for (const Case& c : cases(arguments["--data"])) {
    if (!wanted(c.label)) continue;
    const Table table = read_table(c.file);
    const Selection selection = select_rows(table, c.options);
    const Problem problem = make_problem(selection, c.options);
    const Vector optimum = solve(problem).solution.theta;
    std::vector<Outcome> outcomes(perturbations);
    parallel_for(outcomes.size(), threads, [&](size_t i) {
      Random random(seed, "multistart", i);
      outcomes[i] =
          compare(perturbed(selection, problem, optimum, random), c.options, starts, random);
    });
    good &= print_row(c.label, problem, outcomes);
  }
  for (const Law* law : laws()) {
    const std::string label = "planted " + std::string(law->name);
    if (arguments["--planted"] == "0" || !can_plant(*law) || !wanted(label)) continue;
    const Planted planted = plant(*law);
    const FitOptions options{.law = std::string(law->name), .fixed = planted.fixed};
    std::vector<Outcome> outcomes(perturbations);
    parallel_for(outcomes.size(), threads, [&](size_t i) {
      Random random(seed, "multistart", i);
      outcomes[i] =
          compare(select_rows(simulate(planted, seed, i), options), options, starts, random);
    });
    const Selection first = select_rows(simulate(planted, seed, 0), options);
    good &= print_row(label, make_problem(first, options), outcomes);
  }
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
