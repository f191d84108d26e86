// Chinchilla's parametric law (approach 3): L = E + A/N^alpha + B/D^beta.
// Source: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", section 3.3;
// corrected coefficients: Besiroglu et al. 2024, "Chinchilla Scaling: A replication attempt".
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/size_and_data.h"

namespace rung {
namespace {

constexpr std::string_view chinchilla_inputs[] = {"N", "D"};
constexpr auto chinchilla_coefficients =
    size_and_data_coefficients({1.81722, 477.83, 2143.4, 0.347311, 0.367172});
constexpr InputRange chinchilla_design[] = {{5e7, 1.6e10}, {1e9, 4e11}};

}  // namespace

constinit const Law chinchilla_law = {
    .name = "chinchilla",
    .formula = "L = E + A/N^alpha + B/D^beta",
    .source = "Hoffmann et al. 2022, section 3.3; Besiroglu et al. 2024",
    .identifiable = "N and D vary independently, each over about a decade or more",
    .inputs = chinchilla_inputs,
    .coefficients = chinchilla_coefficients,
    .evaluate = evaluate_formula<SizeAndData>,
    .design = chinchilla_design,
    .noise = 0.003,
};

}  // namespace rung
