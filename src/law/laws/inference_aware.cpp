// Chinchilla's form for models that will serve many tokens: L = E + A/N^alpha + B/D^beta, fitted on
// runs up to thousands of tokens per parameter. Total cost of quality L and D_inf served tokens:
// 6 N D + 2 N D_inf, minimised by plan/lifetime.h.
// Source: Sardana et al. 2024, "Beyond Chinchilla-Optimal: Accounting for Inference in Language
// Model Scaling Laws"; it computes with Chinchilla's published coefficients and
// finds that fits on few tokens per parameter promise too much of more data.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/size_and_data.h"

namespace rung {
namespace {

constexpr std::string_view inference_inputs[] = {"N", "D"};
constexpr auto inference_coefficients =
    size_and_data_coefficients({1.69, 406.4, 410.7, 0.336, 0.283});
constexpr InputRange inference_design[] = {{1.5e8, 6e9}, {1.5e9, 1.25e12}};

}  // namespace

constinit const Law inference_aware_law = {
    .name = "inference-aware",
    .formula = "L = E + A/N^alpha + B/D^beta",
    .source = "Sardana et al. 2024",
    .identifiable = "as chinchilla, with runs up to the tokens per parameter that will be used",
    .inputs = inference_inputs,
    .coefficients = inference_coefficients,
    .evaluate = evaluate_formula<SizeAndData>,
    .design = inference_design,
    .noise = 0.003,
};

}  // namespace rung
