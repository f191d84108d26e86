// Kaplan's laws, without an irreducible term.
//   kaplan     L = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D
//   kaplan-N   L = (N_c/N)^alpha_N, unlimited data
//   kaplan-D   L = (D_c/D)^alpha_D, large models stopped early
//   kaplan-C   L = (C_c/C)^alpha_C, the best split of C into size and steps
// Source: Kaplan et al. 2020, "Scaling Laws for Neural Language Models", equations 1.1 to 1.3 and
// 1.5; joint coefficients: its table 2. N leaves embeddings out there.
#include "law/formula.h"
#include "law/laws/laws.h"

namespace rung {
namespace {

struct KaplanJoint {
  static constexpr int coefficients = 4, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [N_c, D_c, alpha_N, alpha_D] = c;
    const auto size = exp(alpha_N / alpha_D * (log(N_c) - x.log(0)));
    const auto data = D_c * std::exp(-x.log(1));
    return exp(alpha_D * log(size + data));
  }
};

struct KaplanSingle {
  static constexpr int coefficients = 2, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [x_c, alpha] = c;
    return exp(alpha * (log(x_c) - x.log(0)));
  }
};

// Where the power law reaches one nat. Far beyond any data, hence the wide bounds.
constexpr Coefficient scale_of(std::string_view name, std::string_view meaning, int points,
                               double typical) {
  return {.name = name,
          .meaning = meaning,
          .scale = Scale::log,
          .lo = 1.0,
          .hi = 1e60,
          .grid_lo = 1e8,
          .grid_hi = 1e24,
          .grid_points = points,
          .typical = typical};
}

constexpr Coefficient exponent_of(std::string_view name, std::string_view meaning, int points,
                                  double typical) {
  return {.name = name,
          .meaning = meaning,
          .lo = 0.005,
          .hi = 2.0,
          .grid_lo = 0.03,
          .grid_hi = 0.33,
          .grid_points = points,
          .typical = typical};
}

constexpr std::string_view joint_inputs[] = {"N", "D"};
constexpr Coefficient joint_coefficients[] = {
    scale_of("N_c", "size at one nat", 7, 6.4e13),
    scale_of("D_c", "data at one nat", 7, 1.8e13),
    exponent_of("alpha_N", "exponent of size", 6, 0.076),
    exponent_of("alpha_D", "exponent of data", 6, 0.103),
};
constexpr InputRange joint_design[] = {{1e6, 1.5e9}, {2.2e7, 2.3e10}};

constexpr std::string_view size_inputs[] = {"N"};
constexpr Coefficient size_coefficients[] = {
    scale_of("N_c", "size at one nat", 25, 8.8e13),
    exponent_of("alpha_N", "exponent of size", 16, 0.076),
};
constexpr InputRange size_design[] = {{1e6, 1.5e9}};

constexpr std::string_view data_inputs[] = {"D"};
constexpr Coefficient data_coefficients[] = {
    scale_of("D_c", "data at one nat", 25, 5.4e13),
    exponent_of("alpha_D", "exponent of data", 16, 0.095),
};
constexpr InputRange data_design[] = {{2.2e7, 2.3e10}};

// 3.1e8 PF-days of 8.64e19 FLOPs each.
constexpr std::string_view compute_inputs[] = {"C"};
constexpr Coefficient compute_coefficients[] = {
    scale_of("C_c", "compute at one nat", 25, 3.1e8 * 8.64e19),
    exponent_of("alpha_C", "exponent of compute", 16, 0.050),
};
constexpr InputRange compute_design[] = {{1e15, 1e21}};

}  // namespace

constinit const Law kaplan_law = {
    .name = "kaplan",
    .formula = "L = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D",
    .source = "Kaplan et al. 2020, equation 1.5 and table 2",
    .identifiable = "N and D vary independently and each limits the loss somewhere",
    .inputs = joint_inputs,
    .coefficients = joint_coefficients,
    .evaluate = evaluate_formula<KaplanJoint>,
    .design = joint_design,
    .noise = 0.003,
};

constinit const Law kaplan_size_law = {
    .name = "kaplan-N",
    .formula = "L = (N_c/N)^alpha_N",
    .source = "Kaplan et al. 2020, equation 1.1",
    .identifiable = "N varies and data limit no run; an irreducible loss bends the line",
    .inputs = size_inputs,
    .coefficients = size_coefficients,
    .evaluate = evaluate_formula<KaplanSingle>,
    .design = size_design,
    .noise = 0.003,
};

constinit const Law kaplan_data_law = {
    .name = "kaplan-D",
    .formula = "L = (D_c/D)^alpha_D",
    .source = "Kaplan et al. 2020, equation 1.2",
    .identifiable = "D varies and size limits no run; an irreducible loss bends the line",
    .inputs = data_inputs,
    .coefficients = data_coefficients,
    .evaluate = evaluate_formula<KaplanSingle>,
    .design = data_design,
    .noise = 0.003,
};

constinit const Law kaplan_compute_law = {
    .name = "kaplan-C",
    .formula = "L = (C_c/C)^alpha_C",
    .source = "Kaplan et al. 2020, equation 1.3",
    .identifiable = "C varies along compute-optimal runs; an irreducible loss bends the line",
    .inputs = compute_inputs,
    .coefficients = compute_coefficients,
    .evaluate = evaluate_formula<KaplanSingle>,
    .design = compute_design,
    .noise = 0.003,
};

}  // namespace rung
