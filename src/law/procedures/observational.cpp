// Observational law: the first three principal components of models' benchmark scores (centred, not
// scaled), then logit(accuracy) = w0 + w1 PC1 + w2 PC2 + w3 PC3 for a task, ordinary least squares;
// predicted is the accuracy of a model known by its scores.
// Source: Ruan et al. 2024, "Observational Scaling Laws and the Predictability of Language Model
// Performance", equations 3 (logit) and 5 (components), sections 3.2 and 3.4. Their equation 6
// generalises it to an error h/(1 + e^z) with h within [0.8, 1], 1 in most of their experiments:
// the setting floor = 1 - h. They fit the accuracies themselves by least squares; the logits here
// leave the problem linear, and weigh scores near 0 and 1 more.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/formula.h"
#include "law/procedures/logistic.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view observational_source = "Ruan et al. 2024, equations 3, 5 and 6";
constexpr int components = 3;

auto logit_of(const auto& c, const Inputs& x) {
  const auto& [level, first, second, third, floor] = c;
  return level + first * x[0] + second * x[1] + third * x[2];
}

struct Logit {
  static constexpr int coefficients = components + 2, inputs = components;
  static auto loss(const auto& c, const Inputs& x) { return logit_of(c, x); }
};

struct Accuracy {
  static constexpr int coefficients = components + 2, inputs = components;
  static auto loss(const auto& c, const Inputs& x) {
    return logistic_accuracy(std::get<components + 1>(c), logit_of(c, x));
  }
};

constexpr Coefficient weight(std::string_view name, std::string_view meaning, double typical) {
  return {
      .name = name, .meaning = meaning, .lo = -1e6, .hi = 1e6, .linear = true, .typical = typical};
}
constexpr std::string_view component_names[] = {"PC1", "PC2", "PC3"};
constexpr InputRule component_rules[] = {{.domain = Domain::real, .may_follow = true},
                                         {.domain = Domain::real, .may_follow = true},
                                         {.domain = Domain::real, .may_follow = true}};
constexpr InputRange component_design[] = {{-1.0, 1.0, true}, {-0.4, 0.4, true}, {-0.2, 0.2, true}};
constexpr Coefficient weight_coefficients[] = {
    weight("w0", "logit at the mean model", -0.5), weight("w1", "of the first component", 3.0),
    weight("w2", "of the second component", 1.0), weight("w3", "of the third component", -1.0),
    floor_coefficient};

constinit const Law logit_law = {
    .name = "observational.logit",
    .formula = "logit = w0 + w1 PC1 + w2 PC2 + w3 PC3",
    .source = observational_source,
    .identifiable = "10 or more models that differ in three independent ways",
    .inputs = component_names,
    .coefficients = weight_coefficients,
    .evaluate = evaluate_formula<Logit>,
    .target = "logit",
    .objective = "raw-least-squares",
    .design = component_design,
    .noise = 0.1,
    .input_rules = component_rules,
};
constinit const Law accuracy_law = {
    .name = "observational.accuracy",
    .formula = "accuracy = floor + (1 - floor)/(1 + e^-(w0 + w1 PC1 + w2 PC2 + w3 PC3))",
    .source = observational_source,
    .identifiable = "10 or more models that differ in three independent ways",
    .inputs = component_names,
    .coefficients = weight_coefficients,
    .evaluate = evaluate_formula<Accuracy>,
    .target = "accuracy",
    .objective = "raw-least-squares",
    .design = component_design,
    .noise = 0.02,
    .input_rules = component_rules,
};
constexpr const Law* observational_laws[] = {&logit_law};

constexpr RawColumn observational_columns[] = {{.name = "accuracy"},
                                               {.name = "benchmarks", .kind = ColumnKind::list}};
constexpr ProcedureSetting observational_settings[] = {floor_setting};

// Loadings [benchmarks, 3] of the centred scores, signs so that better scores count up.
struct Components {
  Eigen::VectorXd mean;
  Eigen::MatrixXd loadings;
  Eigen::VectorXd share;  // of the variance
};

Components principal_components(const Eigen::MatrixXd& scores) {
  Components result;
  result.mean = scores.colwise().mean();
  const Eigen::MatrixXd centred = scores.rowwise() - result.mean.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(centred.transpose() * centred);
  const int k = static_cast<int>(scores.cols());
  result.loadings.resize(k, components);
  result.share.resize(components);
  for (int i = 0; i < components; ++i) {
    Eigen::VectorXd direction = eigen.eigenvectors().col(k - 1 - i);
    if (direction.sum() < 0.0) direction = -direction;
    result.loadings.col(i) = direction;
    result.share[i] = eigen.eigenvalues()[k - 1 - i] / eigen.eigenvalues().sum();
  }
  return result;
}

Derivation derive_observational(const RawRows& rows, const Settings& settings) {
  Derivation derivation{.redraw = Redraw::laws};
  const size_t n = rows.rows.size(), k = rows.listed.size();
  const double floor = read_floor(rows, settings, derivation);
  if (k < 3 || n < 8)
    derivation.diagnostics.push_back(
        {"too-few-benchmarks", Severity::refusal,
         fmt::format("{} models with {} benchmarks; three components and their weights need 8 and "
                     "3. Name them: --columns benchmarks=A+B+C.",
                     n, k)});
  if (!derivation.diagnostics.empty()) return derivation;
  Eigen::MatrixXd scores(n, k);
  for (size_t j = 0; j < k; ++j)
    for (size_t i = 0; i < n; ++i) scores(i, j) = rows[rows.listed[j]][i];
  const Components found = principal_components(scores);
  const Eigen::MatrixXd values = (scores.rowwise() - found.mean.transpose()) * found.loadings;
  DerivedPart part{.law = &logit_law, .fixed = {{"floor", floor}}};
  for (int c = 0; c < components; ++c) {
    const Eigen::VectorXd column = values.col(c);
    const std::vector<double> list(column.data(), column.data() + n);
    part.points.add(std::string(component_names[c]), list);
    derivation.composed.add(std::string(component_names[c]), list);
  }
  std::vector<double> logit;
  for (const double value : rows["accuracy"]) logit.push_back(logit_above(floor, value));
  part.points.add("logit", logit);
  derivation.composed.add("accuracy", rows["accuracy"]);
  part.points.source = derivation.composed.source = rows.table.source;
  Json loadings = Json::object();
  for (size_t j = 0; j < k; ++j)
    loadings[rows.listed[j]] = {{"mean", found.mean[j]},
                                {"PC1", found.loadings(j, 0)},
                                {"PC2", found.loadings(j, 1)},
                                {"PC3", found.loadings(j, 2)}};
  derivation.record["benchmarks"] = loadings;
  derivation.record["variance"] = {found.share[0], found.share[1], found.share[2]};
  derivation.parts.push_back(std::move(part));
  return derivation;
}

// A model's scores become its components.
void prepare_observational(const Json& derivation, std::map<std::string, double>& point) {
  const Json& benchmarks = derivation.at("benchmarks");
  if (point.contains("PC1")) return;
  double values[components] = {};
  for (const auto& [name, loading] : benchmarks.items()) {
    const auto score = point.find(name);
    if (score == point.end())
      fail_usage(
          "[observational] A model is known by its scores on every benchmark. Received none "
          "for {}.",
          name);
    for (int c = 0; c < components; ++c)
      values[c] += (score->second - loading.at("mean").get<double>()) *
                   loading.at(std::string(component_names[c])).get<double>();
    point.erase(score);
  }
  for (int c = 0; c < components; ++c) point[std::string(component_names[c])] = values[c];
}

}  // namespace

constinit const Procedure observational_procedure = {
    .name = "observational",
    .formula =
        "accuracy = floor + (1 - floor)/(1 + e^-(w0 + w . PC)), PC: 3 components of benchmark "
        "scores",
    .source = observational_source,
    .identifiable =
        "10 or more models with 3 or more benchmarks each, and the task's accuracy "
        "between guessing and perfect",
    .columns = observational_columns,
    .measured = "accuracy",
    .laws = observational_laws,
    .composed = &accuracy_law,
    .settings = observational_settings,
    .derive = derive_observational,
    .prepare = prepare_observational,
};

}  // namespace rung
