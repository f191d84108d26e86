// Observational law: the first three principal components of models' benchmark scores, then
// logit(accuracy) = w0 + w1 PC1 + w2 PC2 + w3 PC3 for a task, ordinary least squares; predicted is
// the accuracy of a model known by its scores.
// Source: Ruan et al. 2024, "Observational Scaling Laws and the Predictability of Language Model
// Performance", section 3.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/formula.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view source = "Ruan et al. 2024, section 3";
constexpr int components = 3;

auto logit_of(const auto& c, const Inputs& x) {
  const auto& [level, first, second, third] = c;
  return level + first * x[0] + second * x[1] + third * x[2];
}

struct Logit {
  static constexpr int coefficients = components + 1, inputs = components;
  static auto loss(const auto& c, const Inputs& x) { return logit_of(c, x); }
};

struct Accuracy {
  static constexpr int coefficients = components + 1, inputs = components;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    return 1.0 / (1.0 + exp(-logit_of(c, x)));
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
    weight("w2", "of the second component", 1.0), weight("w3", "of the third component", -1.0)};

constinit const Law logit_law = {
    .name = "observational.logit",
    .formula = "logit = w0 + w1 PC1 + w2 PC2 + w3 PC3",
    .source = source,
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
    .formula = "accuracy = 1/(1 + e^-(w0 + w1 PC1 + w2 PC2 + w3 PC3))",
    .source = source,
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

void refuse_accuracies(const RawRows& rows, Derivation& derivation) {
  for (const double value : rows["accuracy"])
    if (!(value > 0.0 && value < 1.0)) {
      derivation.diagnostics.push_back(
          {"units", Severity::refusal,
           fmt::format("{} must lie between 0 and 1 to have a logit. Received {}. Divide per cents "
                       "by 100, or leave such rows out.",
                       rows.names.at("accuracy"), value)});
      return;
    }
}

Derivation derive_observational(const RawRows& rows, const Settings&) {
  Derivation derivation{.redraw = Redraw::laws};
  const size_t n = rows.rows.size(), k = rows.listed.size();
  refuse_accuracies(rows, derivation);
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
  DerivedPart part{.law = &logit_law};
  for (int c = 0; c < components; ++c) {
    const Eigen::VectorXd column = values.col(c);
    const std::vector<double> list(column.data(), column.data() + n);
    part.points.add(std::string(component_names[c]), list);
    derivation.composed.add(std::string(component_names[c]), list);
  }
  std::vector<double> logit;
  for (const double value : rows["accuracy"]) logit.push_back(std::log(value / (1.0 - value)));
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
    .formula = "accuracy = 1/(1 + e^-(w0 + w . PC)), PC: 3 components of benchmark scores",
    .source = source,
    .identifiable =
        "10 or more models with 3 or more benchmarks each, and the task's accuracy "
        "between guessing and perfect",
    .columns = observational_columns,
    .measured = "accuracy",
    .laws = observational_laws,
    .composed = &accuracy_law,
    .derive = derive_observational,
    .prepare = prepare_observational,
};

}  // namespace rung
