// Training in low precision: bits of weights (P_w), activations (P_a) and the key-value cache
// (P_kv) shrink the parameters that count, N_eff = N prod_x (1 - e^(-P_x/gamma_x)), in a Chinchilla
// law. Source: Kumar et al. 2024, "Scaling Laws for Precision", section 4 (its fit ties alpha and
// beta).
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct Precision {
  static constexpr int coefficients = 8, inputs = 5;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [E, A, B, alpha, beta, gamma_w, gamma_a, gamma_kv] = c;
    const auto kept =
        (1.0 - exp(-x[2] / gamma_w)) * (1.0 - exp(-x[3] / gamma_a)) * (1.0 - exp(-x[4] / gamma_kv));
    return E + A * exp(-alpha * (x.log(0) + log(kept))) + B * exp(-beta * x.log(1));
  }
};

constexpr std::string_view precision_inputs[] = {"N", "D", "P_w", "P_a", "P_kv"};

// The bits at which the effective size has lost e^-1; near 0 the format costs nothing.
constexpr Coefficient sensitivity(std::string_view name, std::string_view meaning, double typical) {
  return {.name = name,
          .meaning = meaning,
          .scale = Scale::log,
          .lo = 0.05,
          .hi = 30.0,
          .grid_lo = 0.7,
          .grid_hi = 5.0,
          .grid_points = 3,
          .typical = typical};
}

constexpr Coefficient precision_coefficients[] = {
    irreducible_loss(2.7648),
    factor_coefficient("A", "size term", 4299.0),
    factor_coefficient("B", "data term", 18060.0),
    loss_exponent("alpha", "exponent of size", 0.4965, coarse_exponents),
    loss_exponent("beta", "exponent of data", 0.4965, coarse_exponents),
    sensitivity("gamma_w", "sensitivity to the weights' bits", 2.6745),
    sensitivity("gamma_a", "sensitivity to the activations' bits", 2.2102),
    sensitivity("gamma_kv", "sensitivity to the key-value cache's bits", 0.9578),
};
constexpr InputRange precision_design[] = {
    {3e7, 2.2e8}, {1.5e9, 2.6e10}, {3.0, 16.0, true}, {3.0, 16.0, true}, {3.0, 16.0, true}};
// A format held constant leaves its own gamma undetermined, which the profile shows; with that
// gamma fixed the rest is as well determined as ever.
constexpr InputRule bits{.may_be_constant = true};
constexpr InputRule precision_rules[] = {{}, {}, bits, bits, bits};

}  // namespace

constinit const Law precision_law = {
    .name = "precision",
    .formula =
        "L = E + A/N_eff^alpha + B/D^beta, "
        "N_eff = N (1 - e^(-P_w/gamma_w)) (1 - e^(-P_a/gamma_a)) (1 - e^(-P_kv/gamma_kv))",
    .source = "Kumar et al. 2024, equation 4",
    .identifiable =
        "N and D as for chinchilla; each P_x varies independently of the others and "
        "reaches few enough bits to hurt; fix the gamma_x of a format held constant",
    .inputs = precision_inputs,
    .coefficients = precision_coefficients,
    .evaluate = evaluate_formula<Precision>,
    .design = precision_design,
    .noise = 0.003,
    .input_rules = precision_rules,
};

}  // namespace rung
