// How biased IsoFLOP parabolas are: planted Chinchilla surfaces under several designs, fitted by
// `isoflop`, `isoflop-interpolated` and the parametric law itself.
//
//   law_bias [LADDERS]
//
// Prints a Markdown table: the planted exponent of N_opt, the median fitted one, how often its 90 %
// interval holds the planted one, N_opt ten times beyond the largest budget over the true one, and
// how often the fit warned of the bias itself.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "law/fit.h"
#include "law/laws/laws.h"
#include "law/parallel.h"
#include "law/predict.h"
#include "law/uncertainty.h"

using namespace rung;

namespace {

constexpr double noise = 0.003;
constexpr double budgets[] = {6e18, 3e19, 1.2e20, 5e20, 3e21};
constexpr double largest = budgets[4];
constexpr int sizes = 7;

struct Design {
  const char* name;
  double alpha, beta;  // of the surface
  double centre;       // middle of the sizes over the optimum
  double reach;        // largest over middle size
};

constexpr Design designs[] = {
    {"equal exponents, centred", 0.35, 0.35, 1.0, 4.0},
    {"unequal exponents, centred, narrow", 0.35, 0.45, 1.0, 3.0},
    {"unequal exponents, centred, wide", 0.35, 0.45, 1.0, 10.0},
    {"unequal exponents, too small by 2", 0.35, 0.45, 0.5, 4.0},
    {"unequal exponents, too large by 2", 0.35, 0.45, 2.0, 4.0},
};

struct Surface {
  double E = 1.8, A = 480.0, B = 2100.0, alpha, beta;
  double exponent() const { return beta / (alpha + beta); }
  double optimum(double flops) const {
    return std::pow(alpha * A / (beta * B), 1.0 / (alpha + beta)) *
           std::pow(flops / 6.0, exponent());
  }
};

Table sample(const Surface& surface, const Design& design, uint64_t ladder) {
  Random random(hash_name(design.name), "isoflop", ladder);
  std::vector<double> N, D, C, L;
  for (const double flops : budgets)
    for (int i = 0; i < sizes; ++i) {
      const double place = 2.0 * i / (sizes - 1.0) - 1.0;
      N.push_back(surface.optimum(flops) * design.centre * std::pow(design.reach, place));
      D.push_back(flops / (6.0 * N.back()));
      C.push_back(flops);
      const double loss = surface.E + surface.A * std::pow(N.back(), -surface.alpha) +
                          surface.B * std::pow(D.back(), -surface.beta);
      L.push_back(loss * std::exp(noise * random.normal()));
    }
  Table table;
  table.add("N", N);
  table.add("D", D);
  table.add("C", C);
  table.add("L", L);
  return table;
}

struct Trial {
  bool refused = false, covered = false, warned = false;
  double exponent = 0.0, beyond = 0.0;
};

// The parametric law's optimum follows from its samples.
Trial parametric(const Fit& fit, const Surface& surface) {
  const auto optimum_of = [](const std::vector<double>& c) {
    return Surface{.E = c[0], .A = c[1], .B = c[2], .alpha = c[3], .beta = c[4]};
  };
  std::vector<double> drawn;
  for (const auto& sample : fit.samples) drawn.push_back(optimum_of(sample).exponent());
  const Surface fitted = optimum_of(fit.values());
  const double truth = surface.exponent();
  return {.covered = quantile(drawn, 0.05) <= truth && truth <= quantile(drawn, 0.95),
          .exponent = fitted.exponent(),
          .beyond = fitted.optimum(10.0 * largest) / surface.optimum(10.0 * largest)};
}

Trial run_trial(const std::string& law, const Surface& surface, const Design& design, size_t i) {
  const FitOptions options{.law = law, .bootstrap = 200, .seed = i, .threads = 1};
  const Fit fit = fit_law(sample(surface, design, i), options);
  if (fit.refused()) return {.refused = true};
  if (law == "chinchilla") return parametric(fit, surface);
  Trial trial;
  const Estimate& exponent = fit.coefficients[1];
  trial.exponent = exponent.value;
  trial.covered = exponent.lo <= surface.exponent() && surface.exponent() <= exponent.hi;
  trial.beyond = predict_loss(fit, {{"C", 10.0 * largest}}) / surface.optimum(10.0 * largest);
  for (const Diagnostic& diagnostic : fit.diagnostics)
    trial.warned |= diagnostic.code == "biased-optimum" && diagnostic.severity == Severity::warning;
  return trial;
}

void study(const Design& design, const std::string& law, int ladders) {
  const Surface surface{.alpha = design.alpha, .beta = design.beta};
  std::vector<Trial> trials(ladders);
  parallel_for(trials.size(), 0, [&](size_t i) { trials[i] = run_trial(law, surface, design, i); });
  std::vector<double> exponents, beyond;
  int covered = 0, warned = 0;
  for (const Trial& trial : trials) {
    if (trial.refused) continue;
    exponents.push_back(trial.exponent);
    beyond.push_back(trial.beyond);
    covered += trial.covered;
    warned += trial.warned;
  }
  const int fits = static_cast<int>(exponents.size());
  const double share = 100.0 / std::max(1, fits);
  fmt::print("| {} | {} | {} | {:.4f} | {:.4f} | {:.0f} | {:.3f} | {:.0f} |\n", design.name, law,
             ladders - fits, surface.exponent(), quantile(exponents, 0.5), share * covered,
             quantile(beyond, 0.5), share * warned);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** values) {
  try {
    const int ladders = count > 1 ? std::atoi(values[1]) : 200;
    fmt::print(
        "| design | law | refused | planted exponent | fitted | covered, % | N_opt at 10x / true | "
        "warned, % |\n|---|---|---|---|---|---|---|---|\n");
    for (const Design& design : designs)
      for (const char* law : {"isoflop", "isoflop-interpolated", "chinchilla"})
        study(design, law, ladders);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.kind);
  }
}
