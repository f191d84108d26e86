// Vocabulary, approach 3: one parametric law of the unigram-normalised loss,
// L_u = -E + A1/Nnv^beta + A2/Nv^alpha + B/D^beta, with Nv = V d and D = H f(V) derived from
// vocabulary, width and characters (all in ones).
// Source: Tao et al. 2024, "Scaling Laws with Vocabulary: Larger Models Deserve Larger
// Vocabularies", section 4.3, with their tie alpha1 = beta. Their script passes V in thousands to
// f(V), which inflates D by a factor of about 2.7 to 3; `units` refuses such tables. A point may be
// known by Nnv, V and either characters H or FLOPs F.
#include <algorithm>
#include <cmath>

#include "law/laws/terms.h"
#include "law/power_term.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"
#include "law/procedures/vocabulary.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view vocabulary_3_source = "Tao et al. 2024, section 4.3 (approach 3)";

struct UnigramLoss {
  static constexpr int coefficients = 6, inputs = 3;
  static auto loss(const auto& c, const Inputs& x) {
    const auto& [E, A1, A2, B, alpha, beta] = c;
    return power_term(A1, beta, x.log(0)) + power_term(A2, alpha, x.log(1)) +
           power_term(B, beta, x.log(2)) - E;
  }
};

constexpr std::string_view vocabulary_3_loss_inputs[] = {"Nnv", "Nv", "D"};
constexpr InputRange vocabulary_3_loss_design[] = {{3.3e7, 1.13e9}, {2e6, 2e8}, {1e8, 5e10}};
constexpr Coefficient vocabulary_3_loss_coefficients[] = {
    {.name = "E",
     .meaning = "loss below the unigram model's",
     .lo = 0.0,
     .linear = true,
     .typical = 5.5328},
    factor_coefficient("A1", "term of the body", 876.0),
    factor_coefficient("A2", "term of the vocabulary", 2070.0),
    factor_coefficient("B", "term of the data", 22200.0),
    loss_exponent("alpha", "exponent of the vocabulary", 0.6707, {0.05, 1.2, 12}),
    loss_exponent("beta", "exponent of body and data", 0.4466, {0.05, 1.2, 12}),
};
constinit const Law vocabulary_3_loss_law = {
    .name = "vocabulary-3.L_u",
    .formula = "L_u = -E + A1/Nnv^beta + A2/Nv^alpha + B/D^beta",
    .source = vocabulary_3_source,
    .identifiable = "Nnv, Nv and D vary independently, each over about a decade or more",
    .inputs = vocabulary_3_loss_inputs,
    .coefficients = vocabulary_3_loss_coefficients,
    .evaluate = evaluate_formula<UnigramLoss>,
    .target = "L_u",
    .objective = "huber",
    .design = vocabulary_3_loss_design,
    .noise = 0.02,
};
constexpr const Law* unigram_laws[] = {&vocabulary_3_loss_law};

constexpr ProcedureSetting unigram_settings[] = {
    compression_settings[0],
    compression_settings[1],
    compression_settings[2],
    compression_settings[3],
    {"least_flops", "rows with fewer are left out", 0},
};

Derivation derive_vocabulary_3(const RawRows& rows, const Settings& settings) {
  Derivation derivation{.redraw = Redraw::groups};
  const Compression f = compression_of(settings);
  check_units(rows, f, derivation);
  std::vector<double> body, vocabulary, tokens, loss;
  std::map<std::pair<double, double>, int> curves;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const double v = rows["V"][i], size = rows["Nnv"][i];
    const double parameters = v * (rows.has("d") ? rows["d"][i] : width_of(size));
    const double d = rows["H"][i] * f(v);
    const auto [curve, fresh] = curves.emplace(std::pair(size, v), curves.size());
    derivation.group.push_back(curve->second);
    if (6.0 * (size + parameters) * d < settings.at("least_flops")) continue;
    body.push_back(size);
    vocabulary.push_back(parameters);
    tokens.push_back(d);
    loss.push_back(rows["L_u"][i]);
  }
  derivation.record["curves"] = curves.size();
  for (const Diagnostic& d : derivation.diagnostics)
    if (d.severity == Severity::refusal) return derivation;
  DerivedPart part{.law = &vocabulary_3_loss_law};
  part.points.source = "checkpoints";
  part.points.add("Nnv", std::move(body));
  part.points.add("Nv", std::move(vocabulary));
  part.points.add("D", std::move(tokens));
  part.points.add("L_u", std::move(loss));
  derivation.parts.push_back(std::move(part));
  return derivation;
}

// V, H and d become Nv and D.
void prepare_vocabulary_3(const Json& derivation, std::map<std::string, double>& point) {
  const auto take = [&](const char* name) {
    const double value = point.at(name);
    point.erase(name);
    return value;
  };
  if (!point.contains("V") || !point.contains("Nnv")) return;
  Settings settings;
  for (const auto& [name, value] : derivation.at("settings").items())
    settings[name] = value.get<double>();
  const double v = take("V");
  const double width = point.contains("d") ? take("d") : width_of(point.at("Nnv"));
  point["Nv"] = v * width;
  if (point.contains("H")) point["D"] = take("H") * compression_of(settings)(v);
  if (point.contains("F")) point["D"] = take("F") / (6.0 * (point.at("Nnv") + v * width));
}

}  // namespace

constinit const Procedure vocabulary_3_procedure = {
    .name = "vocabulary-3",
    .formula = "L_u = -E + A1/Nnv^beta + A2/Nv^alpha + B/D^beta, Nv = V d, D = H f(V)",
    .source = vocabulary_3_source,
    .identifiable = "several bodies, vocabularies and lengths, varied independently",
    .columns = vocabulary_columns,
    .measured = "L_u",
    .laws = unigram_laws,
    .settings = unigram_settings,
    .derive = derive_vocabulary_3,
    .prepare = prepare_vocabulary_3,
};

}  // namespace rung
