// A smoothly broken power law with one break: exponent a far below x_break, b far above it, f the
// width of the bend in ln x:  L = E + A x^-a (1 + (x/x_break)^(1/f))^((a - b) f). Source: Caballero
// et al. 2023, "Broken Neural Scaling Laws", equation 1 with n = 1, c_0 = a and c_1 = b - a.
#include "law/formula.h"
#include "law/laws/laws.h"

namespace rung {
namespace {

// f ln(1 + (x/x_break)^(1/f)): 0 far below the break, ln(x/x_break) far above it. With its
// derivatives in one pass; from products of dual numbers it takes four.
double bend(double log_x, double x_break, double f) {
  return f * softplus((log_x - std::log(x_break)) / f);
}

template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> bend(double log_x, const Jet<A, Order>& x_break, const Jet<B, Order>& f) {
  const double at = 1.0 / x_break.value, z = (log_x - std::log(x_break.value)) / f.value;
  const double e = std::exp(-std::fabs(z));
  const double above = (z < 0.0 ? e : 1.0) / (1.0 + e);  // softplus' slope
  const double level = std::fmax(z, 0.0) + std::log1p(e);
  Jet<(A | B), Order> result(f.value * level);
  add_derivatives(result, x_break, -above * at);
  add_derivatives(result, f, level - z * above);
  if constexpr (Order == 2) {
    const double turn = above * (1.0 - above) / f.value;
    add_outer(result, x_break, x_break, (above + turn) * at * at);
    add_outer(result, x_break, f, 2.0 * turn * z * at);
    add_outer(result, f, f, turn * z * z);
  }
  return result;
}

struct BrokenPower {
  static constexpr int coefficients = 6, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [E, A, a, b, x_break, f] = c;
    return E + A * exp((a - b) * bend(x.log(0), x_break, f) - a * x.log(0));
  }
};

constexpr std::string_view broken_power_inputs[] = {"x"};
constexpr Coefficient broken_power_coefficients[] = {
    {.name = "E", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 1.7},
    {.name = "A",
     .meaning = "reducible loss at x = 1",
     .scale = Scale::log,
     .lo = 0.0,
     .linear = true,
     .typical = 20.0},
    {.name = "a",
     .meaning = "exponent before the break",
     .lo = 0.0,
     .hi = 3.0,
     .grid_lo = 0.02,
     .grid_hi = 1.7,
     .grid_points = 7,
     .typical = 0.05},
    {.name = "b",
     .meaning = "exponent after the break",
     .lo = 0.0,
     .hi = 3.0,
     .grid_lo = 0.02,
     .grid_hi = 1.7,
     .grid_points = 7,
     .typical = 0.3},
    {.name = "x_break",
     .meaning = "where it bends",
     .scale = Scale::log,
     .lo = 0.0,
     .grid_points = 12,  // the sweep looks closer (law/sweep.h)
     .along_input = 0,
     .typical = 1e18},
    {.name = "f",
     .meaning = "width of the bend in ln x",
     .scale = Scale::log,
     .lo = 0.05,
     .hi = 2.0,
     .grid_lo = 0.06,
     .grid_hi = 1.0,
     .grid_points = 3,
     .nuisance = true,
     .typical = 0.3},
};
// Values of a plausible ladder whose small rungs bend; the source prints none for language models.
constexpr InputRange broken_power_design[] = {{1e15, 1e22}};

}  // namespace

constinit const Law broken_power_law = {
    .name = "broken-power",
    .formula = "L = E + A x^-a (1 + (x/x_break)^(1/f))^((a - b) f)",
    .source = "Caballero et al. 2023, equation 1 with one break",
    .identifiable = "several points lie well below the break and several well above it",
    .inputs = broken_power_inputs,
    .coefficients = broken_power_coefficients,
    .evaluate = evaluate_formula<BrokenPower>,
    .design = broken_power_design,
    .noise = 0.003,
};

}  // namespace rung
