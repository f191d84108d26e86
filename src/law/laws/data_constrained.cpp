// Repeated data: L = E + A/N'^alpha + B/D'^beta with effective sizes
//   D' = U_D + U_D R_D* (1 - e^(-R_D/R_D*)),  R_D = D/U_D - 1 repetitions of U_D unique tokens,
//   N' = U_N + U_N R_N* (1 - e^(-R_N/R_N*)),  R_N = N/U_N - 1,
//   U_N = min(N, (alpha A/(beta B))^(1/alpha) U_D^(beta/alpha)), compute-optimal for U_D tokens.
// Source: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models"; the base law is
// fixed there at fits of single-epoch runs with alpha = beta. On its own runs R_D* = 15.4, R_N*
// = 5.3 are a local minimum of an almost flat objective: 95 and 1.7 are lower.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

// Effective amount of `unique`, used 1 + repeats times.
template <class R, class Decay>
auto effective(double unique, const R& repeats, const Decay& decay) {
  using std::exp;
  return unique * (1.0 + decay * (1.0 - exp(-repeats / decay)));
}

struct DataConstrained {
  static constexpr int coefficients = 7, inputs = 3;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [E, A, B, alpha, beta, R_D, R_N] = c;
    constexpr double tiny = 1e-300;  // keeps the optimum finite where a term is switched off
    const double log_unique = std::fmin(x.log(1), x.log(2));  // an unfinished first pass is unique
    const double unique = std::fmin(x[1], x[2]);
    const double repeats = std::fmax(x[1] / unique - 1.0, 0.0);
    const auto log_data = log(effective(unique, repeats, R_D));
    const auto log_optimal =
        (log(alpha * A + tiny) - log(beta * B + tiny) + beta * log_unique) / alpha;
    const auto beyond = [&, &R_N = R_N] {
      const auto excess = exp(x.log(0) - log_optimal) - 1.0;
      return log_optimal + log(effective(1.0, excess, R_N));
    };
    using Size = decltype(beyond());
    const Size log_size = value_of(log_optimal) < x.log(0) ? beyond() : Size(x.log(0));
    return E + A * exp(-alpha * log_size) + B * exp(-beta * log_data);
  }
};

constexpr std::string_view constrained_inputs[] = {"N", "D", "D_unique"};
constexpr InputRule constrained_rules[] = {{}, {}, {.may_be_constant = true, .may_follow = true}};
constexpr Coefficient constrained_coefficients[] = {
    irreducible_loss(1.86914),
    factor_coefficient("A", "size term", 520.83),
    factor_coefficient("B", "data term", 1487.72),
    loss_exponent("alpha", "exponent of size", 0.35266, coarse_exponents),
    loss_exponent("beta", "exponent of data", 0.35266, coarse_exponents),
    {.name = "R_D",
     .meaning = "repetitions until a token has lost 1 - 1/e of its worth",
     .scale = Scale::log,
     .lo = 0.01,
     .hi = 1e5,
     .grid_lo = 1.0,
     .grid_hi = 100.0,
     .grid_points = 4,
     .typical = 15.3878},
    {.name = "R_N",
     .meaning = "excess parameters until their worth has decayed likewise",
     .scale = Scale::log,
     .lo = 0.01,
     .hi = 1e5,
     .grid_lo = 1.0,
     .grid_hi = 50.0,
     .grid_points = 3,
     .nuisance = true,
     .typical = 5.30974},
};
constexpr InputRange constrained_design[] = {{7e6, 8.7e9}, {1e8, 1.8e11}, {1e8, 1.2e10}};

}  // namespace

constinit const Law data_constrained_law = {
    .name = "data-constrained",
    .formula =
        "L = E + A/N'^alpha + B/D'^beta, x' = U (1 + R_x (1 - e^(-(x/U - 1)/R_x))), U = D_unique "
        "for D and its compute-optimal size for N",
    .source = "Muennighoff et al. 2023",
    .identifiable =
        "base law: single-epoch runs with N and D independent, or fixed; R_D: runs up to many "
        "repetitions; R_N: models well beyond the compute-optimal size for their unique tokens",
    .inputs = constrained_inputs,
    .coefficients = constrained_coefficients,
    .evaluate = evaluate_formula<DataConstrained>,
    .design = constrained_design,
    .noise = 0.01,
    .input_rules = constrained_rules,
};

}  // namespace rung
