// The unified law of routed models: bilinear in ln N and ln E, where the number of experts E
// saturates at both ends: log10 L = a log10 N + b log10 Eh + c log10 N log10 Eh + d with
// 1/Eh = 1/(E - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max. A dense model is E = 1 (Eh = E_start).
// Source: Clark et al. 2022, "Unified Scaling Laws for Routed Language Models", equation 1
// (one routing technique a fit; N is the size of the dense model that a token sees).
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/saturation.h"

namespace rung {
namespace {

constexpr double ln10 = 2.302585092994046;

struct Routing {
  static constexpr int coefficients = 6, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [a, b, c_NE, d, E_start, E_max] = c;
    const auto experts = log(saturated_experts(x[1], E_start, E_max));
    const double size = x.log(0);
    return exp(a * size + b * experts + c_NE * (size / ln10) * experts + d * ln10);
  }
};

constexpr std::string_view routing_inputs[] = {"N", "E"};
constexpr Coefficient routing_coefficients[] = {
    {.name = "a", .meaning = "exponent of size", .linear = true, .typical = -0.0838},
    {.name = "b", .meaning = "exponent of experts", .linear = true, .typical = -0.1234},
    {.name = "c", .meaning = "interaction of both", .linear = true, .typical = 0.0104},
    {.name = "d", .meaning = "log10 L at N = Eh = 1", .linear = true, .typical = 1.1216},
    experts_at_start({1.0, 10.0, 8}),
    experts_at_most({64.0, 1e4, 8}),
};
constexpr InputRange routing_design[] = {{1.5e7, 1.3e9}, {1.0, 512.0}};

}  // namespace

constinit const Law routing_law = {
    .name = "routing",
    .formula =
        "log10 L = a log10 N + b log10 Eh + c log10 N log10 Eh + d, "
        "1/Eh = 1/(E - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max",
    .source = "Clark et al. 2022, equation 1",
    .identifiable =
        "N and E vary independently over a decade or more; E_start needs dense models "
        "and few experts, E_max several hundred",
    .inputs = routing_inputs,
    .coefficients = routing_coefficients,
    .evaluate = evaluate_formula<Routing>,
    .objective = "least-squares",
    .design = routing_design,
    .noise = 0.0075,
    .log_linear = true,
};

}  // namespace rung
