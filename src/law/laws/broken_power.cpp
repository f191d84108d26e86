// A smoothly broken power law with one break: exponent a far below x_break, b far above it, f the
// width of the bend in ln x:  L = E + A x^-a (1 + (x/x_break)^(1/f))^((a - b) f). Source: Caballero
// et al. 2023, "Broken Neural Scaling Laws", equation 1 with n = 1, c_0 = a and c_1 = b - a.
#include "law/laws/broken_power.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "law/bend_rows.h"
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

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

constexpr size_t block = 64;  // rows that evaluate_broken_power takes at a time

// A row's gradient and Hessian, from the derivatives of u = ln(L - E): with T = L - E these are T
// u_i and T (u_i u_j + u_ij); A enters as ln A.
void store_broken_power(const double* c, double log_x, double z, double above, double level,
                        double term, int order, double* out) {
  const double A = c[1], d = c[2] - c[3], at = 1.0 / c[4], f = c[5];
  const double by_break = -above * at, by_f = level - z * above;  // of B = f level
  const double bend = f * level;
  const double u[] = {1.0 / A, bend - log_x, -bend, d * by_break, d * by_f};
  *out++ = c[0] + term;
  *out++ = 1.0;
  for (const double slope : u) *out++ = term * slope;
  if (order < 2) return;
  const double turn = above * (1.0 - above) / f;
  const double second[] = {-u[0] * u[0],
                           0.0,
                           0.0,
                           0.0,
                           0.0,
                           0.0,
                           0.0,
                           by_break,
                           -by_break,
                           d * (above + turn) * at * at,
                           0.0,
                           by_f,
                           -by_f,
                           d * turn * z * at,
                           d * turn * z * z};
  *out++ = 0.0;  // E with itself
  for (int i = 0, from = 0; i < 5; ++i) {
    *out++ = 0.0;
    for (int j = 0; j <= i; ++j, ++from) *out++ = term * (u[i] * u[j] + second[from]);
  }
}

// The formula over many rows at once (law/bend_rows.h): fits of a break evaluate it very often.
void evaluate_broken_power(const Law&, const double* c, const double* inputs, size_t rows,
                           int order, double* out) {
  const Bend bend{std::log(c[1]), c[2], c[3], std::log(c[4]), c[5]};
  const size_t width = jet_size(order, BrokenPower::coefficients);
  std::array<double, block> z, above, level, term;
  for (size_t first = 0; first < rows; first += block) {
    const size_t count = std::min(block, rows - first);
    const double* log_x = inputs + 2 * first + 1;
    if (order == 0) {
      bend_terms(bend, log_x, count, out);
      for (size_t i = 0; i < count; ++i) *out++ += c[0];
      continue;
    }
    bend_rows(bend, log_x, count, {z.data(), above.data(), level.data(), term.data()});
    for (size_t i = 0; i < count; ++i, out += width)
      store_broken_power(c, log_x[2 * i], z[i], above[i], level[i], term[i], order, out);
  }
}

constexpr std::string_view broken_power_inputs[] = {"x"};
constexpr Coefficient broken_power_coefficients[] = {
    irreducible_loss(1.7),
    factor_coefficient("A", "reducible loss at x = 1", 20.0),
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

void broken_power_plain(const Law& law, const double* c, const double* inputs, size_t rows,
                        int order, double* out) {
  evaluate_formula<BrokenPower>(law, c, inputs, rows, order, out);
}

constinit const Law broken_power_law = {
    .name = "broken-power",
    .formula = "L = E + A x^-a (1 + (x/x_break)^(1/f))^((a - b) f)",
    .source = "Caballero et al. 2023, equation 1 with one break",
    .identifiable = "several points lie well below the break and several well above it",
    .inputs = broken_power_inputs,
    .coefficients = broken_power_coefficients,
    .evaluate = evaluate_broken_power,
    .design = broken_power_design,
    .noise = 0.003,
};

}  // namespace rung
