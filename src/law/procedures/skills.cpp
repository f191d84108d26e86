// Skill law with family effects: a benchmark's logit is a skill that grows with size and data in
// the same way for every model family, from a level of the family's own,
// logit(accuracy) = level + w_N ln(N/N_0) + w_D ln(D/D_0) + w_ND ln(N/N_0) ln(D/D_0).
// The weights come from differences within families, the levels from what is left.
// Source: Polo et al. 2024, "Sloth: scaling laws for LLM skills to predict multi-benchmark
// performance across families", for one skill and one benchmark, as in the authors' code
// (sloth/sloth.py and experiment.py: features ln N, ln D and their product, an intercept a family,
// accuracy = c + (1 - c)/(1 + e^-skill) with c given). Their product is the setting `interaction`,
// their c the setting `floor`. They share several skills among the benchmarks and minimise a Huber
// loss of the accuracies. A new family's level follows from one of its models.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "law/formula.h"
#include "law/procedures/logistic.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view skills_source = "Polo et al. 2024, one skill";

auto skill_of(const auto& c, const Inputs& x) {
  using std::log;
  const auto& [w_N, w_D, w_ND, N_0, D_0, floor] = c;
  const auto size = x.log(0) - log(N_0);
  const auto data = x.log(1) - log(D_0);
  return x[2] + w_N * size + w_D * data + w_ND * size * data;
}

struct Skill {
  static constexpr int coefficients = 6, inputs = 3;
  static auto loss(const auto& c, const Inputs& x) { return skill_of(c, x); }
};

struct SkillAccuracy {
  static constexpr int coefficients = 6, inputs = 3;
  static auto loss(const auto& c, const Inputs& x) {
    return logistic_accuracy(std::get<5>(c), skill_of(c, x));
  }
};

constexpr Coefficient skill_weight(std::string_view name, std::string_view meaning,
                                   double typical) {
  return {
      .name = name, .meaning = meaning, .lo = -1e3, .hi = 1e3, .linear = true, .typical = typical};
}
constexpr Coefficient reference(std::string_view name, std::string_view meaning, double typical) {
  return {.name = name,
          .meaning = meaning,
          .scale = Scale::log,
          .lo = 0.0,
          .grid_lo = 0.5 * typical,
          .grid_hi = 2.0 * typical,
          .grid_points = 2,
          .nuisance = true,
          .typical = typical};
}
constexpr Coefficient skill_coefficients[] = {
    skill_weight("w_N", "gain per e-fold of size", 0.4),
    skill_weight("w_D", "gain per e-fold of data", 0.3),
    skill_weight("w_ND", "interaction of size and data", 0.0),
    reference("N_0", "size at which levels are stated", 3e9),
    reference("D_0", "tokens at which levels are stated", 1e12),
    floor_coefficient};
constexpr std::string_view skill_inputs[] = {"N", "D", "level"};
constexpr InputRule skill_rules[] = {
    {}, {}, {.domain = Domain::real, .may_be_constant = true, .may_follow = true}};
constexpr InputRange skill_design[] = {{1e8, 7e10}, {3e11, 1.5e13}, {-1.0, 1.0, true}};

constexpr Law skill_law_named(std::string_view name, std::string_view formula,
                              std::string_view target, Evaluate evaluate) {
  return {.name = name,
          .formula = formula,
          .source = skills_source,
          .identifiable = "two or more models in most families, whose sizes and tokens vary",
          .inputs = skill_inputs,
          .coefficients = skill_coefficients,
          .evaluate = evaluate,
          .target = target,
          .objective = "raw-least-squares",
          .design = skill_design,
          .noise = 0.05,
          .input_rules = skill_rules};
}
constinit const Law skills_logit_law = skill_law_named(
    "skills.logit", "logit = level + w_N ln(N/N_0) + w_D ln(D/D_0) + w_ND ln(N/N_0) ln(D/D_0)",
    "logit", evaluate_formula<Skill>);
constinit const Law skills_accuracy_law =
    skill_law_named("skills.accuracy",
                    "accuracy = floor + (1 - floor)/(1 + e^-(level + w_N ln(N/N_0) + w_D ln(D/D_0) "
                    "+ w_ND ln(N/N_0) "
                    "ln(D/D_0)))",
                    "accuracy", evaluate_formula<SkillAccuracy>);
constexpr const Law* skill_laws[] = {&skills_logit_law};

constexpr RawColumn skill_columns[] = {
    {"N"}, {"D"}, {.name = "accuracy"}, {.name = "family", .kind = ColumnKind::label}};
constexpr ProcedureSetting skill_settings[] = {{"interaction", "1: w_ND is fitted; 0: it is 0", 0},
                                               floor_setting};

// Weights from deviations from each family's means; false when those do not determine them.
bool weights_within(const std::vector<std::vector<double>>& terms, const std::vector<double>& logit,
                    const std::vector<std::vector<size_t>>& families, Eigen::VectorXd& weights) {
  Eigen::MatrixXd design(logit.size(), terms.size());
  std::vector<double> left(logit.size());
  for (const auto& family : families) {
    for (size_t t = 0; t < terms.size(); ++t) {
      const double mean = mean_of(pick(terms[t], family));
      for (const size_t at : family) design(at, t) = terms[t][at] - mean;
    }
    const double mean = mean_of(pick(logit, family));
    for (const size_t at : family) left[at] = logit[at] - mean;
  }
  const LinearFit fit = least_squares(design, left);
  weights = fit.coefficients;
  return fit.determined && fit.freedom > static_cast<int>(families.size());
}

// What is regressed: ln N and ln D from their geometric means (and their product), and the logits.
struct Terms {
  double size_0 = 0.0, tokens_0 = 0.0;
  std::vector<std::vector<double>> columns;
  std::vector<double> logit;
};

Terms read_terms(const RawRows& rows, const Settings& settings, double floor) {
  const bool interaction = settings.at("interaction") != 0.0;
  std::vector<size_t> every(rows.rows.size());
  std::iota(every.begin(), every.end(), size_t{0});
  // Redrawn rows keep the references: levels and weights are stated there.
  const auto reference_at = [&](const char* name, const char* column) {
    const auto held = settings.find(name);
    return held != settings.end() ? held->second : geometric_mean(rows[column], every);
  };
  Terms terms{.size_0 = reference_at("N_0", "N"), .tokens_0 = reference_at("D_0", "D")};
  terms.columns.resize(interaction ? 3 : 2);
  for (size_t i = 0; i < every.size(); ++i) {
    terms.logit.push_back(logit_above(floor, rows["accuracy"][i]));
    terms.columns[0].push_back(std::log(rows["N"][i] / terms.size_0));
    terms.columns[1].push_back(std::log(rows["D"][i] / terms.tokens_0));
    if (interaction) terms.columns[2].push_back(terms.columns[0].back() * terms.columns[1].back());
  }
  return terms;
}

// Each family's level: the mean of what the weights leave of its logits.
std::vector<double> family_levels(const RawRows& rows, const Terms& terms,
                                  const Eigen::VectorXd& weights,
                                  const std::vector<std::vector<size_t>>& families,
                                  Derivation& derivation) {
  std::vector<double> level(rows.rows.size());
  derivation.group.assign(rows.rows.size(), 0);
  derivation.record["families"] = Json::array();
  for (size_t f = 0; f < families.size(); ++f) {
    double sum = 0.0;
    for (const size_t at : families[f]) {
      sum += terms.logit[at];
      for (size_t t = 0; t < terms.columns.size(); ++t) sum -= weights[t] * terms.columns[t][at];
      derivation.group[at] = static_cast<int>(f);
    }
    const double own = sum / static_cast<double>(families[f].size());
    for (const size_t at : families[f]) level[at] = own;
    const size_t label = static_cast<size_t>(rows["family"][families[f].front()]);
    derivation.record["families"].push_back({{"family", rows.labels.at("family")[label]},
                                             {"models", families[f].size()},
                                             {"level", own}});
  }
  return level;
}

void refuse(Derivation& derivation, std::string code, std::string text) {
  derivation.diagnostics.push_back({std::move(code), Severity::refusal, std::move(text)});
}

Derivation derive_skills(const RawRows& rows, const Settings& settings) {
  Derivation derivation{.redraw = Redraw::rows};
  const auto families = group_values(rows["family"], 0.0);
  const double floor = read_floor(rows, settings, derivation);
  if (!derivation.diagnostics.empty()) return derivation;
  const Terms terms = read_terms(rows, settings, floor);
  derivation.held = {{"N_0", terms.size_0}, {"D_0", terms.tokens_0}};
  derivation.levels = families.size();
  Eigen::VectorXd weights;
  if (!weights_within(terms.columns, terms.logit, families, weights)) {
    refuse(derivation, "no-variation-within",
           fmt::format("{} rows in {} families do not determine how the skill grows within a "
                       "family. Add models of different sizes and tokens to the same families.",
                       rows.rows.size(), families.size()));
    return derivation;
  }
  const std::vector<double> level = family_levels(rows, terms, weights, families, derivation);
  DerivedPart part{.law = &skills_logit_law,
                   .fixed = {{"N_0", terms.size_0}, {"D_0", terms.tokens_0}, {"floor", floor}}};
  if (terms.columns.size() == 2) part.fixed["w_ND"] = 0.0;
  for (Table* table : {&part.points, &derivation.composed}) {
    table->source = rows.table.source;
    table->add("N", rows["N"]);
    table->add("D", rows["D"]);
    table->add("level", level);
  }
  part.points.add("logit", terms.logit);
  derivation.composed.add("accuracy", rows["accuracy"]);
  derivation.parts.push_back(std::move(part));
  return derivation;
}

}  // namespace

constinit const Procedure skills_procedure = {
    .name = "skills",
    .formula =
        "logit(accuracy above floor) = family's level + w_N ln N + w_D ln D (+ w_ND ln N ln D)",
    .source = skills_source,
    .identifiable = "two or more models in most families, whose sizes and tokens vary",
    .columns = skill_columns,
    .measured = "accuracy",
    .laws = skill_laws,
    .composed = &skills_accuracy_law,
    .settings = skill_settings,
    .derive = derive_skills,
};

}  // namespace rung
