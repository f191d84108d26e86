// Vocabulary, approach 2: the vocabulary that needs the fewest FLOPs for a given text and body,
// dF/dV = 6 H (d f(V) + (Nnv + V d) f'(V)) = 0 with F = 6 (Nnv + V d) H f(V); through its
// parameters Nv = V d goes Nv = Nv_0 (Nnv/Nnv_0)^gamma from the smallest body on. The setting
// `base` replaces Nv_0 by a measured optimum of the smallest body.
// Source: Tao et al. 2024, "Scaling Laws with Vocabulary: Larger Models Deserve Larger
// Vocabularies", section 4.2.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/procedures/vocabulary.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view vocabulary_2_source = "Tao et al. 2024, section 4.2 (approach 2)";

struct Anchored {
  static constexpr int coefficients = 3, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [Nv_0, Nnv_0, gamma] = c;
    return Nv_0 * exp(gamma * (x.log(0) - log(Nnv_0)));
  }
};

constexpr std::string_view body_inputs[] = {"Nnv"};
constexpr InputRange body_design[] = {{3e7, 3e9}};
constexpr Coefficient anchored_coefficients[] = {
    factor_coefficient("Nv_0", "vocabulary parameters of the smallest body", 3'145'728),
    {.name = "Nnv_0",
     .meaning = "the smallest body",
     .scale = Scale::log,
     .lo = 0.0,
     .grid_lo = 1e7,
     .grid_hi = 1e8,
     .grid_points = 2,
     .nuisance = true,
     .typical = 3.3e7},
    exponent_coefficient("gamma", "exponent of the vocabulary parameters", 0.8353974)};
constinit const Law anchored_law = {
    .name = "vocabulary-2.Nv",
    .formula = "Nv = Nv_0 (Nnv/Nnv_0)^gamma",
    .source = vocabulary_2_source,
    .identifiable = "bodies over a decade or more; Nv_0 and Nnv_0 are given",
    .inputs = body_inputs,
    .coefficients = anchored_coefficients,
    .evaluate = evaluate_formula<Anchored>,
    .target = "Nv",
    .objective = "huber-log",
    .noise = 0.02,
};
constexpr const Law* anchored_laws[] = {&anchored_law};

constexpr RawColumn body_columns[] = {
    {.name = "Nnv", .aliases = body_names},
    {.name = "d", .optional = true, .aliases = width_names},
};
constexpr ProcedureSetting derivative_settings[] = {
    compression_settings[0],
    compression_settings[1],
    compression_settings[2],
    compression_settings[3],
    {"base", "measured vocabulary parameters of the smallest body; 0: the derivative's own", 0},
};

// Where dF/dV changes from falling to rising, between 2 entries and where f stays; 0 if nowhere.
double cheapest_vocabulary(double body, double width, const Compression& f) {
  const auto slope = [&](double log_v) {
    const double v = std::exp(log_v);
    return width * f(v) + (body + v * width) * f.slope(v);
  };
  double lo = std::log(2.0), hi = std::log(f.largest) - 1e-12;
  if (!(slope(lo) < 0.0 && slope(hi) > 0.0)) return 0.0;
  for (int i = 0; i < 200 && hi - lo > 1e-14 * hi; ++i) {
    const double middle = 0.5 * (lo + hi);
    (slope(middle) < 0.0 ? lo : hi) = middle;
  }
  return std::exp(0.5 * (lo + hi));
}

Derivation derive_vocabulary_2(const RawRows& rows, const Settings& settings) {
  Derivation derivation{.redraw = Redraw::rows};
  derivation.record["bodies"] = Json::array();
  const Compression f = compression_of(settings);
  std::vector<double> bodies, parameters;
  for (const auto& same : group_values(rows["Nnv"], 1e-9)) {
    const double body = rows["Nnv"][same.front()];
    const double width = rows.has("d") ? rows["d"][same.front()] : width_of(body);
    const double vocabulary = cheapest_vocabulary(body, width, f);
    derivation.record["bodies"].push_back({{"Nnv", body}, {"d", width}, {"V", vocabulary}});
    if (vocabulary == 0.0) continue;
    bodies.push_back(body);
    parameters.push_back(vocabulary * width);
  }
  if (bodies.size() < 3) {
    derivation.diagnostics.push_back(
        {"too-few-bodies", Severity::refusal,
         fmt::format("{} bodies have a cheapest vocabulary below {:g} entries; gamma needs 3.",
                     bodies.size(), f.largest)});
    return derivation;
  }
  DerivedPart part{.law = &anchored_law,
                   .fixed = {{"Nv_0", parameters.front()}, {"Nnv_0", bodies.front()}}};
  part.points.source = "cheapest vocabularies";
  part.points.add("Nnv", {bodies.begin() + 1, bodies.end()});
  part.points.add("Nv", {parameters.begin() + 1, parameters.end()});
  derivation.parts.push_back(std::move(part));
  return derivation;
}

// The anchor moves to the measured optimum; the exponent stays.
void review_vocabulary_2(const RawRows&, const Settings& settings, Fit& fit) {
  const double base = settings.at("base");
  if (!(base > 0.0)) return;
  Estimate& anchor = fit.coefficients.front();
  anchor.value = anchor.lo = anchor.hi = base;
  for (std::vector<double>& sample : fit.samples) sample.front() = base;
}

}  // namespace

constinit const Procedure vocabulary_2_procedure = {
    .name = "vocabulary-2",
    .formula = "Nv = Nv_0 (Nnv/Nnv_0)^gamma through dF/dV = 0",
    .source = vocabulary_2_source,
    .identifiable = "3 or more bodies over a decade; no losses are read",
    .columns = body_columns,
    .measured = "Nnv",
    .laws = anchored_laws,
    .settings = derivative_settings,
    .derive = derive_vocabulary_2,
    .review = review_vocabulary_2,
};

}  // namespace rung
