#include "plan/surface.h"

#include <cmath>

#include "core/error.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

bool is_bits(std::string_view name) {
  return name == "P_w" || name == "P_a" || name == "P_kv";
}

bool is_counted(std::string_view name) {
  return name == "N" || name == "D" || name == "C" || name == "M";
}

// Coefficients of resample s of a fit that may have fewer than the one it stands beside.
const std::vector<double>& paired(const Fit& fit, const std::vector<double>& best, int sample) {
  return sample < 0 || fit.samples.empty()
             ? best
             : fit.samples[static_cast<size_t>(sample) % fit.samples.size()];
}

}  // namespace

Surface::Surface(const Knowledge& knowledge, const PlanOptions& options, const Alternative& choice)
    : knowledge_(knowledge), options_(options), choice_(choice) {
  const Fit& fit = *knowledge.loss.fit;
  for (size_t i = 0; i < fit.inputs.size(); ++i) {
    const std::string own(fit.law->inputs[i]);
    const bool direct = is_counted(fit.inputs[i]) || options.other.contains(fit.inputs[i]);
    names_.push_back(direct ? fit.inputs[i] : own);
    const std::string& name = names_.back();
    const bool chosen = (is_bits(name) && choice.bits > 0.0) ||
                        (name == "E" && choice.experts > 0.0) ||
                        (name == "G" && choice.granularity > 0.0) ||
                        (name == "D_unique" && std::isfinite(options.unique_tokens));
    if (is_counted(name) || options.other.contains(name) || chosen) continue;
    if (name == "D_unique")
      fail_usage("[plan] {} weighs repeated data. Give --unique-tokens.", fit.law->name);
    fail_usage("[plan] {} also reads {}. Give it: --with {}=VALUE.", fit.law->name, name, name);
  }
  coefficients_.push_back(fit.values());
  coefficients_.insert(coefficients_.end(), fit.samples.begin(), fit.samples.end());
  if (knowledge.ptq) best_rounding_ = knowledge.ptq.fit->values();
  if (knowledge.routing) best_routing_ = knowledge.routing.fit->values();
}

double Surface::value_of(std::string_view name, double n, double d) const {
  if (name == "N") return n;
  if (name == "D") return d;
  if (name == "C") return 6.0 * n * d;
  if (name == "M") return d / n;
  if (const auto given = options_.other.find(std::string(name)); given != options_.other.end())
    return given->second;
  if (name == "E") return choice_.experts;
  if (name == "G") return choice_.granularity;
  if (name == "D_unique") return options_.unique_tokens;
  return choice_.bits;
}

double Surface::rounding(int sample, double n, double d) const {
  if (!knowledge_.ptq || !(choice_.bits > 0.0)) return 0.0;
  const Fit& fit = *knowledge_.ptq.fit;
  const double at[] = {n, d, choice_.bits};
  return evaluate_law(*fit.law, paired(fit, best_rounding_, sample), at);
}

double Surface::dense_size(int sample, double n) const {
  if (!knowledge_.routing || !(choice_.experts > 1.0)) return n;
  const Fit& fit = *knowledge_.routing.fit;
  const std::vector<double>& c = paired(fit, best_routing_, sample);
  // ln L is a straight line in ln N at any number of experts: two dense models tell the line.
  const auto log_loss = [&](double size, double experts) {
    const double at[] = {size, experts};
    return std::log(evaluate_law(*fit.law, c, at));
  };
  const double dense = log_loss(n, 1.0), slope = log_loss(n * std::exp(1.0), 1.0) - dense;
  return n * std::exp((log_loss(n, choice_.experts) - dense) / slope);
}

double Surface::operator()(int sample, double n, double d) const {
  const double dense = dense_size(sample, n);
  double values[max_inputs];
  for (size_t i = 0; i < names_.size(); ++i) values[i] = value_of(names_[i], dense, d);
  const double loss =
      evaluate_law(*knowledge_.loss.fit->law, coefficients_[static_cast<size_t>(sample + 1)],
                   {values, names_.size()}) +
      rounding(sample, n, d);
  return std::isfinite(loss) ? loss : unbounded;
}

Point Surface::point_at(double n, double d) const {
  Point at{{"N", n}, {"D", d}, {"C", 6.0 * n * d}};
  for (const std::string& name : names_) at[name] = value_of(name, n, d);
  return at;
}

Prediction Surface::predict(double n, double d, double level) const {
  const double dense = dense_size(best, n);
  const Point at = point_at(dense, d);
  Prediction result = predict_forms(knowledge_.loss.from->forms, at, level);
  if (!knowledge_.ptq || !(choice_.bits > 0.0)) return result;
  // Both fits' uncertainties are independent: they were made of different measurements.
  const Fit& fit = *knowledge_.ptq.fit;
  const std::vector<double> whole = predict_draws(*knowledge_.loss.fit, at);
  const std::vector<double> added =
      predict_draws(fit, {{"N", n}, {"D", d}, {std::string(fit.inputs[2]), choice_.bits}});
  std::vector<double> draws;
  for (size_t i = 0; i < whole.size(); ++i)
    draws.push_back(whole[i] + added[(i * 7919) % added.size()]);
  result.loss += rounding(best, n, d);
  result.lo = std::min(result.loss, quantile(draws, 0.5 * (1.0 - level)));
  result.hi = std::max(result.loss, quantile(draws, 0.5 * (1.0 + level)));
  result.sources["rounding"] =
      0.5 * (quantile(added, 0.5 * (1.0 + level)) - quantile(added, 0.5 * (1.0 - level)));
  return result;
}

}  // namespace rung
