#include "law/predict.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "core/random.h"
#include "law/problem.h"
#include "law/procedure.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

// What a procedure's inputs are known by becomes its inputs.
Point prepare(const Fit& fit, Point at) {
  if (fit.procedure && fit.procedure->prepare) fit.procedure->prepare(fit.derivation, at);
  return at;
}

Point complete(const Fit& fit, const Point& given) {
  Point at = prepare(fit, given);
  for (const auto& [name, value] : at) {
    const bool quantity = name == "N" || name == "D" || name == "C";
    if (!std::isfinite(value) || (quantity && !(value > 0.0)))
      fail_usage("[predict] {} must be {}finite. Received {}.", name,
                 quantity ? "positive and " : "", value);
  }
  const bool n = at.contains("N"), d = at.contains("D"), c = at.contains("C");
  if (n && d && !c) at["C"] = 6.0 * at["N"] * at["D"];
  if (n && c && !d) at["D"] = at["C"] / (6.0 * at["N"]);
  if (d && c && !n) at["N"] = at["C"] / (6.0 * at["D"]);
  if (at.contains("N") && at.contains("D")) at.emplace("D/N", at["D"] / at["N"]);
  return at;
}

// The refusals of a fit, each with its code.
std::string refusal_of(const Fit& fit) {
  std::string text;
  for (const Diagnostic& d : fit.diagnostics)
    if (d.severity == Severity::refusal)
      text += fmt::format("{}[{}] {}", text.empty() ? "" : " ", d.code, d.text);
  return text.empty() ? "a file without coefficients." : text;
}

std::vector<double> inputs_at(const Fit& fit, const Point& at) {
  if (fit.refused() || fit.coefficients.empty())
    refuse("[predict] The fit was refused and has no coefficients. Received {}", refusal_of(fit));
  std::vector<double> values;
  for (size_t i = 0; i < fit.inputs.size(); ++i) {
    auto found = at.find(fit.inputs[i]);
    if (found == at.end()) found = at.find(std::string(fit.law->inputs[i]));
    if (found == at.end()) {
      std::string given;
      for (const auto& [name, value] : at)
        given += fmt::format("{}{}={}", given.empty() ? "" : " ", name, value);
      fail_usage("[predict] {} needs {}. Received {}. Example: N=7e9 D=1.4e12.{}", fit.law->name,
                 fit.inputs[i], given.empty() ? "nothing" : given,
                 at.contains("C") ? " `rung plan` finds the best N and D of a C." : "");
    }
    const Domain domain = fit.law->input_rule(i).domain;
    const double value = found->second;
    if ((domain == Domain::positive && !(value > 0.0)) ||
        (domain == Domain::non_negative && value < 0.0))
      fail_usage("[predict] {} must be {}. Received {}.", fit.inputs[i],
                 domain == Domain::positive ? "positive" : "not negative", value);
    values.push_back(value);
  }
  return values;
}

void check_names(const Fit& fit, const Point& at) {
  for (const auto& [name, value] : at) {
    const bool known =
        name == "N" || name == "D" || name == "C" || name == "D/N" || fit.ranges.contains(name) ||
        std::find(fit.law->inputs.begin(), fit.law->inputs.end(), name) != fit.law->inputs.end();
    if (known) continue;
    std::vector<std::string_view> names(fit.inputs.begin(), fit.inputs.end());
    fail_usage("[predict] Unknown input. Received {}={}. The nearest is {}.", name, value,
               nearest_name(name, names));
  }
}

// With each input under its column's name too, by which ranges are kept.
Point with_columns(const Fit& fit, Point at) {
  for (size_t i = 0; i < fit.inputs.size() && i < fit.law->inputs.size(); ++i)
    if (const auto found = at.find(std::string(fit.law->inputs[i])); found != at.end())
      at.emplace(fit.inputs[i], found->second);
  return at;
}

std::map<std::string, double> extrapolation_at(const Fit& fit, const Point& at) {
  std::map<std::string, double> result;
  for (const auto& [name, range] : fit.ranges)
    if (const auto found = at.find(name); found != at.end() && range.max != 0.0)
      result[name] = found->second / range.max;
  return result;
}

// Factors beyond the nearest end; for what may be zero or negative, 1 + the distance in spans.
std::map<std::string, double> outside_at(const Fit& fit, const Point& at) {
  std::map<std::string, double> result;
  for (const auto& [name, range] : fit.ranges) {
    const auto found = at.find(name);
    if (found == at.end() || (found->second >= range.min && found->second <= range.max)) continue;
    const double value = found->second, end = value > range.max ? range.max : range.min;
    if (value > 0.0 && range.min > 0.0)
      result[name] = std::max(value / end, end / value);
    else
      result[name] = 1.0 + std::fabs(value - end) / std::max(range.max - range.min, 1e-300);
  }
  return result;
}

// Far beyond the data what they left open decides.
constexpr double far_outside = 10.0;
constexpr double off_count = 3.0;  // conventions of counting differ by less

std::vector<std::string> warnings_at(const Fit& fit, const std::map<std::string, double>& outside) {
  double farthest = 1.0;
  std::string name;
  for (const auto& [input, factor] : outside)
    if (factor > farthest) farthest = factor, name = input;
  std::vector<std::string> list;
  if (farthest <= far_outside) return list;
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == "at-bound" || d.code == "flat-profile" || d.code == "vanishing-term" ||
        d.severity == Severity::refusal)
      list.push_back(fmt::format("{:.3g} times outside the data in {} and [{}] {}", farthest, name,
                                 d.code, d.text));
  return list;
}

double half_width(const std::vector<double>& draws, double level) {
  return 0.5 * (quantile(draws, 0.5 * (1.0 + level)) - quantile(draws, 0.5 * (1.0 - level)));
}

// Half-width of the noise alone around the prediction.
double noise_width(const Fit& fit, const Point& at, double value, double level) {
  if (fit.noise.empty()) return 0.0;
  const double growth = fit.noise_growth.at(inputs_at(fit, at));
  std::vector<double> draws;
  for (const double shift : fit.noise)
    draws.push_back(with_residual(fit.objective, value, growth * shift));
  return half_width(draws, level);
}

void describe_place(const Fit& fit, const Point& at, Prediction& result) {
  const Point named = with_columns(fit, at);
  result.extrapolation = extrapolation_at(fit, named);
  result.outside = outside_at(fit, named);
  result.warnings = unit_doubts(fit);
  for (std::string& warning : warnings_at(fit, result.outside))
    result.warnings.push_back(std::move(warning));
  if (!at.contains("N") || !at.contains("D") || !at.contains("C")) return;
  const double ratio = at.at("C") / (6.0 * at.at("N") * at.at("D"));
  if (ratio > off_count || ratio < 1.0 / off_count)
    result.warnings.push_back(
        fmt::format("C is {:.3g} times 6 N D: one of the three stands in another unit or does not "
                    "belong to the others. {} reads {}.",
                    ratio, fit.law->name, fmt::join(fit.inputs, " and ")));
}

LawAt law_at(const Fit& fit, const Point& at) {
  return [&fit, inputs = inputs_at(fit, at)](const std::vector<double>& coefficients) {
    return evaluate_law(*fit.law, coefficients, inputs);
  };
}

void warn_undetermined(Prediction& prediction) {
  if (const std::string text = undetermined_text(prediction); !text.empty())
    prediction.warnings.push_back(text);
}

void check_level(double level) {
  if (!(level > 0.0 && level < 1.0))
    fail_usage("[predict] level lies between 0 and 1. Received {}.", level);
}

}  // namespace

std::vector<std::string> unit_doubts(const Fit& fit) {
  std::vector<std::string> list;
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == "units" || d.code == "units-mixed")
      list.push_back(fmt::format("[{}] {}", d.code, d.text));
  return list;
}

std::string place_text(const Prediction& prediction) {
  std::string text;
  std::vector<std::string> within;
  for (const auto& [name, ratio] : prediction.extrapolation) {
    const auto outside = prediction.outside.find(name);
    if (outside == prediction.outside.end())
      within.push_back(name);
    else if (ratio > 1.0)
      text += fmt::format("{} is {:.3g} times the largest in the data\n", name, outside->second);
    else
      text += fmt::format("{} is 1/{:.3g} of the smallest in the data\n", name, outside->second);
  }
  if (!within.empty()) text += fmt::format("within the data: {}\n", fmt::join(within, ", "));
  return text;
}

double predict_loss(const Fit& fit, const Point& at) {
  return evaluate_law(*fit.law, fit.values(), inputs_at(fit, complete(fit, at)));
}

std::vector<double> predict_draws(const Fit& fit, const Point& at, bool noise, uint64_t seed) {
  const std::vector<double> inputs = inputs_at(fit, complete(fit, at));
  const double growth = fit.noise_growth.at(inputs);
  // Few samples still carry the whole noise distribution: each is used several times.
  const size_t repeats =
      fit.samples.empty() ? 1000 : std::max<size_t>(1, 4000 / fit.samples.size());
  std::vector<double> draws;
  Random random(seed, "predict");
  for (size_t s = 0; s < std::max<size_t>(1, fit.samples.size()); ++s) {
    const double value =
        evaluate_law(*fit.law, fit.samples.empty() ? fit.values() : fit.samples[s], inputs);
    const double factor = growth * (s < fit.sample_noise.size() ? fit.sample_noise[s] : 1.0);
    for (size_t r = 0; r < repeats; ++r) {
      const double shift =
          noise && !fit.noise.empty() ? factor * fit.noise[random.below(fit.noise.size())] : 0.0;
      draws.push_back(with_residual(fit.objective, value, shift));
    }
  }
  return draws;
}

Prediction predict(const Fit& fit, const Point& at, double level) {
  check_level(level);
  check_names(fit, prepare(fit, at));
  const Point full = complete(fit, at);
  const std::vector<double> draws = predict_draws(fit, full);
  Prediction result{
      .target = std::string(fit.law->target), .loss = predict_loss(fit, full), .level = level};
  result.lo = std::min(result.loss, quantile(draws, 0.5 * (1.0 - level)));
  result.hi = std::max(result.loss, quantile(draws, 0.5 * (1.0 + level)));
  result.sources = {{"coefficients", half_width(predict_draws(fit, full, false), level)},
                    {"noise", noise_width(fit, full, result.loss, level)}};
  describe_place(fit, full, result);
  result.at_bound = bound_shares(fit, law_at(fit, full), result);
  warn_undetermined(result);
  return result;
}

Prediction predict_mixture(std::span<const Fit> fits, std::span<const double> weights,
                           const Point& at, double level, double extra_sd, uint64_t seed) {
  check_level(level);
  if (fits.empty()) fail("[predict] A mixture needs fits. Received none.");
  const Point full = complete(fits.front(), at);
  double total = 0.0, centre = 0.0;
  for (size_t i = 0; i < fits.size(); ++i) total += weights[i];
  if (!(total > 0.0)) fail("[predict] A mixture needs a positive weight. Received {}.", total);
  const bool logs = fits.front().objective.log_residual;
  for (const Fit& fit : fits)
    if (fit.law->target != fits.front().law->target || fit.objective.log_residual != logs)
      fail_usage(
          "[predict] A mixture has one target and one unit of residuals. Received {} and {}.",
          fits.front().law->name, fit.law->name);
  // A stratified sample: every fit gives a share of the draws in proportion to its weight.
  constexpr size_t pool = 20000;
  std::vector<double> draws, centres;
  Random random(seed, "mixture");
  std::map<std::string, double> sources;
  for (size_t i = 0; i < fits.size(); ++i) {
    const double share = weights[i] / total;
    if (share <= 0.0) continue;
    const double value = predict_loss(fits[i], full);
    centre += share * (logs ? std::log(value) : value);
    sources["coefficients"] +=
        share * half_width(predict_draws(fits[i], full, false, seed + i), level);
    sources["noise"] += share * noise_width(fits[i], complete(fits[i], at), value, level);
    const std::vector<double> own = predict_draws(fits[i], full, true, seed + i);
    const size_t count = std::max<size_t>(1, static_cast<size_t>(std::lround(share * pool)));
    centres.insert(centres.end(), count, value);
    for (size_t d = 0; d < count; ++d)
      draws.push_back(with_residual(fits[i].objective, own[random.below(own.size())],
                                    extra_sd * random.normal()));
  }
  Prediction result{.target = std::string(fits.front().law->target),
                    .loss = logs ? std::exp(centre) : centre,
                    .level = level};
  result.lo = std::min(result.loss, quantile(draws, 0.5 * (1.0 - level)));
  result.hi = std::max(result.loss, quantile(std::move(draws), 0.5 * (1.0 + level)));
  std::vector<double> rollout;
  for (int i = 1; i < 200; ++i)
    rollout.push_back(
        with_residual(fits.front().objective, result.loss, extra_sd * normal_quantile(i / 200.0)));
  sources["form"] = half_width(centres, level);
  sources["rollout"] = half_width(rollout, level);
  result.sources = std::move(sources);
  describe_place(fits.front(), full, result);
  for (size_t i = 0; i < fits.size(); ++i)
    result.at_bound =
        bound_shares(fits[i], law_at(fits[i], complete(fits[i], at)), result, weights[i] / total);
  warn_undetermined(result);
  return result;
}

}  // namespace rung
