// Two causes of the gap between Kaplan's and Chinchilla's exponents, each as a term of the law.
//   kaplan-chinchilla  L = E + A/(N + omega N^(1/3))^alpha + B/D^beta with N *without* embeddings:
//     at a constant aspect ratio N_total = N + omega N^(1/3). Source: Pearce & Song 2024,
//     "Reconciling Kaplan and Chinchilla Scaling Laws"; omega = 47491 for
//     Chinchilla's shapes and vocabulary, coefficients of the re-analysis.
//   warmup             L = E + A/N^alpha + B/(D - kappa W)^beta, W tokens of learning-rate warm-up
//     of which the share kappa is lost. Porian et al. 2024, "Resolving Discrepancies in
//     Compute-Optimal Scaling of Language Models", show that a warm-up of fixed length (Kaplan's
//     3000 steps of 2^19 tokens, in their code) burdens small models, and that one of N tokens
//     does not; they give no formula, this is the least one that says so (half the tokens are lost
//     where a linear warm-up has half the peak's mean rate).
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/size_and_data.h"

namespace rung {
namespace {

struct Counting {
  static constexpr int coefficients = 6, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [E, A, B, alpha, beta, omega] = c;
    const auto log_total = x.log(0) + log(1.0 + omega * std::exp(-2.0 / 3.0 * x.log(0)));
    return E + A * exp(-alpha * log_total) + B * exp(-beta * x.log(1));
  }
};

struct Warmup {
  static constexpr int coefficients = 6, inputs = 3;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [E, A, B, alpha, beta, kappa] = c;
    return E + A * exp(-alpha * x.log(0)) + B * exp(-beta * log(x[1] - kappa * x[2]));
  }
};

constexpr auto base = size_and_data_coefficients({1.8172, 482.01, 2085.43, 0.3478, 0.3658});

// The base law with a coarser grid, for the further axis.
constexpr Coefficient coarser(Coefficient coefficient) {
  coefficient.grid_points = 16;
  return coefficient;
}

constexpr std::string_view counting_inputs[] = {"N", "D"};
constexpr Coefficient counting_coefficients[] = {
    base[0],
    base[1],
    base[2],
    coarser(base[3]),
    coarser(base[4]),
    {.name = "omega",
     .meaning = "embeddings per cube root of N",
     .scale = Scale::log,
     .lo = 1.0,
     .hi = 1e8,
     .grid_lo = 1e3,
     .grid_hi = 1e6,
     .grid_points = 4,
     .nuisance = true,
     .typical = 47491.0},
};
constexpr InputRange counting_design[] = {{1e4, 1.5e9}, {1e8, 1e11}};

constexpr std::string_view warmup_inputs[] = {"N", "D", "W"};
constexpr InputRule warmup_rules[] = {{}, {}, {.may_be_constant = true, .may_follow = true}};
constexpr Coefficient warmup_coefficients[] = {
    base[0],
    base[1],
    base[2],
    coarser(base[3]),
    coarser(base[4]),
    {.name = "kappa",
     .meaning = "share of the warm-up that is lost",
     .lo = 0.0,
     .hi = 1.0,
     .grid_lo = 0.05,
     .grid_hi = 0.95,
     .grid_points = 4,
     .nuisance = true,
     .typical = 0.5},
};
constexpr InputRange warmup_design[] = {{5e6, 1.5e9}, {1e9, 4e11}, {2e8, 9e8}};

}  // namespace

constinit const Law kaplan_chinchilla_law = {
    .name = "kaplan-chinchilla",
    .formula = "L = E + A/(N + omega N^(1/3))^alpha + B/D^beta, N without embeddings",
    .source = "Pearce & Song 2024",
    .identifiable =
        "N and D vary independently; omega: some models lie below N = omega^1.5 and some above, or "
        "it is fixed at what the vocabulary gives",
    .inputs = counting_inputs,
    .coefficients = counting_coefficients,
    .evaluate = evaluate_formula<Counting>,
    .design = counting_design,
    .noise = 0.003,
};

constinit const Law warmup_law = {
    .name = "warmup",
    .formula = "L = E + A/N^alpha + B/(D - kappa W)^beta",
    .source = "after Porian et al. 2024",
    .identifiable =
        "as chinchilla; kappa: the warm-up W is a large part of D in some runs and a small one in "
        "others",
    .inputs = warmup_inputs,
    .coefficients = warmup_coefficients,
    .evaluate = evaluate_formula<Warmup>,
    .design = warmup_design,
    .noise = 0.003,
    .input_rules = warmup_rules,
};

}  // namespace rung
