// Distillation: loss of a student of N parameters after D tokens of a teacher of loss L_T,
//   L = L_T + L_T^-c0 (1 + (L_T/(L_s d1))^(1/f1))^(-c1 f1) (A/N^alpha + B/D^beta)^gamma,
// L_s the loss of the same student trained on the D tokens without a teacher (a column of the
// table, or the prediction of `chinchilla-gamma`).
// Source: Busbridge et al. 2025, "Distillation Scaling Laws", equation 8 (coefficients primed
// there) and equation 1 for
//   chinchilla-gamma  L = E + (A/N^alpha + B/D^beta)^gamma.
// The typical values of equation 8 were not checked against the source's table; those of
// equation 1 were, in a second text.
#include <cmath>

#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"
#include "law/simulate.h"

namespace rung {
namespace {

struct Supervised {
  static constexpr int coefficients = 6, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [E, A, B, alpha, beta, gamma] = c;
    const auto terms = A * exp(-alpha * x.log(0)) + B * exp(-beta * x.log(1));
    return E + exp(gamma * log(terms));
  }
};

struct Distillation {
  static constexpr int coefficients = 9, inputs = 4;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [A, B, alpha, beta, gamma, c0, c1, d1, f1] = c;
    const auto terms = A * exp(-alpha * x.log(0)) + B * exp(-beta * x.log(1));
    // (1 + u)^(-c1 f1) with ln u = (ln L_T - ln L_s - ln d1) / f1, without overflow.
    const auto capacity = -c1 * f1 * softplus((x.log(2) - x.log(3) - log(d1)) / f1);
    return x[2] + exp(capacity - c0 * x.log(2) + gamma * log(terms));
  }
};

constexpr Coefficient positive(std::string_view name, std::string_view meaning, double grid_lo,
                               double grid_hi, int points, double typical, bool nuisance = false) {
  return {.name = name,
          .meaning = meaning,
          .scale = Scale::log,
          .lo = 1e-4,
          .hi = 1e12,
          .grid_lo = grid_lo,
          .grid_hi = grid_hi,
          .grid_points = points,
          .nuisance = nuisance,
          .typical = typical};
}

constexpr std::string_view supervised_inputs[] = {"N", "D"};
constexpr Coefficient supervised_coefficients[] = {
    irreducible_loss(1.220),
    positive("A", "size term", 30.0, 3e4, 4, 3355.0),
    positive("B", "data term", 30.0, 3e5, 5, 18186.0),
    loss_exponent("alpha", "exponent of size", 0.408, {0.2, 0.6, 5}),
    loss_exponent("beta", "exponent of data", 0.431, {0.2, 0.6, 5}),
    loss_exponent("gamma", "joint exponent", 0.452, {0.4, 1.0, 3}),
};
constexpr InputRange supervised_design[] = {{1.4e8, 1.26e10}, {2e9, 5e11}};

constexpr std::string_view distillation_inputs[] = {"N", "D", "L_T", "L_s"};
constexpr InputRule distillation_rules[] = {
    {}, {}, {}, {.may_be_constant = true, .may_follow = true}};
constexpr Coefficient distillation_coefficients[] = {
    positive("A", "size term", 100.0, 1e4, 2, 2243.0),
    positive("B", "data term", 1e3, 1e5, 2, 24181.0),
    loss_exponent("alpha", "exponent of size", 0.321, {0.25, 0.45, 2}),
    loss_exponent("beta", "exponent of data", 0.637, {0.35, 0.65, 2}),
    loss_exponent("gamma", "joint exponent", 0.764, {0.5, 0.9, 2}),
    loss_exponent("c0", "exponent of the teacher's loss", 2.549, {1.0, 2.5, 2}),
    positive("c1", "slope where the teacher outgrows the student", 30.0, 1000.0, 2, 522.61, true),
    positive("d1", "ratio of losses where the slope changes", 1.2, 1.2, 1, 1.315),
    positive("f1", "width of that change", 0.1, 0.1, 1, 0.090, true),
};
constexpr InputRange distillation_design[] = {
    {1.4e8, 7.75e9}, {4e9, 5e11}, {1.95, 3.0, true}, {2.0, 3.3, true}};

// The source's own kind of sweep: students and tokens crossed, teachers from stronger to weaker
// than each student would be alone. At 0.3 % noise no sweep of this kind tells all nine
// coefficients apart: the data term is a hundredth of the size term, gamma only rescales A and
// alpha, and c1 follows from d1. Those are held, as a supervised sweep would give them.
void plan_students(Planted& planted) {
  constexpr double supervised[] = {1.220, 3355.0, 18186.0, 0.408, 0.431, 0.452};
  constexpr double teachers[] = {1.75, 1.9, 2.05, 2.2, 2.4, 2.7};
  constexpr int sizes = 5, lengths = 5;
  const auto step = [](const InputRange& range, int i, int count) {
    return range.lo * std::pow(range.hi / range.lo, i / (count - 1.0));
  };
  planted.at.clear();
  for (int i = 0; i < sizes; ++i)
    for (int j = 0; j < lengths; ++j) {
      const double N = step(distillation_design[0], i, sizes);
      const double D = step(distillation_design[1], j, lengths);
      const double alone =
          evaluate_law(chinchilla_gamma_law, supervised, std::vector<double>{N, D});
      for (const double teacher : teachers) planted.at.push_back({N, D, teacher, alone});
    }
  planted.fixed = {{"B", 24181.0}, {"beta", 0.637}, {"gamma", 0.764}, {"d1", 1.315}};
}

}  // namespace

constinit const Law chinchilla_gamma_law = {
    .name = "chinchilla-gamma",
    .formula = "L = E + (A/N^alpha + B/D^beta)^gamma",
    .source = "Busbridge et al. 2025, equation 1",
    .identifiable =
        "as chinchilla, with runs where both terms count: only they tell gamma from the exponents",
    .inputs = supervised_inputs,
    .coefficients = supervised_coefficients,
    .evaluate = evaluate_formula<Supervised>,
    .design = supervised_design,
    .noise = 0.003,
};

constinit const Law distillation_law = {
    .name = "distillation",
    .formula =
        "L = L_T + L_T^-c0 (1 + (L_T/(L_s d1))^(1/f1))^(-c1 f1) (A/N^alpha + B/D^beta)^gamma",
    .source = "Busbridge et al. 2025, equation 8",
    .identifiable =
        "teachers of several losses for each of several students and token counts, some stronger "
        "and some weaker than the student could be alone",
    .inputs = distillation_inputs,
    .coefficients = distillation_coefficients,
    .evaluate = evaluate_formula<Distillation>,
    .objective = "least-squares",  // from far starts the Huber penalty stalls in local minima
    .design = distillation_design,
    .noise = 0.003,
    .input_rules = distillation_rules,
    .plan = plan_students,
};

}  // namespace rung
