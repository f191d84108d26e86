#include "plan/shape_rule.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr double levine_a = 5.039, levine_b = 0.0555;
constexpr double deepest = 2000.0;

// N as the rule sees it, ln of k depth width^2 and the readout, at a depth and a width.
double log_size(double depth, double width, const ShapeOptions& options) {
  return std::log(block_factor(options) * depth * width * width +
                  static_cast<double>(options.vocabulary) * width);
}

// The depth at which width(depth) gives the size; size grows with depth.
template <class Width>
double depth_of(double n, const ShapeOptions& options, Width&& width) {
  double lo = 1e-3, hi = deepest;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (lo + hi);
    (log_size(middle, width(middle), options) < std::log(n) ? lo : hi) = middle;
  }
  return 0.5 * (lo + hi);
}

double levine_aspect(double n, const ShapeOptions& options, double a, double b) {
  const auto width = [&](double depth) { return std::exp(a + b * depth); };
  const double depth = depth_of(n, options, width);
  return width(depth) / depth;
}

double fitted_aspect(double n, const ShapeOptions& options, double A_w, double A_d, double a_w,
                     double a_d) {
  // Along the optimum width = (a_w A_w/(2 a_d A_d))^(1/a_w) depth^(a_d/a_w).
  const double log_factor = std::log(a_w * A_w / (2.0 * a_d * A_d)) / a_w;
  const auto width = [&](double depth) {
    return std::exp(log_factor + a_d / a_w * std::log(depth));
  };
  const double depth = depth_of(n, options, width);
  return width(depth) / depth;
}

double aspect_at(const Fit& fit, const std::vector<double>& c, double n,
                 const ShapeOptions& options) {
  if (fit.law->target == "width") return levine_aspect(n, options, c[0], c[1]);
  const auto at = [&](const char* name) { return c[find_coefficient(*fit.law, name)]; };
  return fitted_aspect(n, options, at("A_w"), at("A_d"), at("alpha_w"), at("alpha_d"));
}

// The loss of a width-depth fit; depth need not be whole.
double loss_of(const Fit& fit, double width, double depth, double n, double tokens) {
  std::vector<double> at;
  for (const std::string_view input : fit.law->inputs)
    at.push_back(input == "width" ? width : input == "depth" ? depth : input == "N" ? n : tokens);
  return evaluate_law(*fit.law, fit.values(), at);
}

// The least value of a function with one minimum between lo and hi: golden sections.
template <class Function>
double least_value(double lo, double hi, Function&& function) {
  constexpr double golden = 0.6180339887498949;
  double a = hi - golden * (hi - lo), b = lo + golden * (hi - lo);
  double at_a = function(a), at_b = function(b);
  for (int i = 0; i < 60; ++i) {
    if (at_a < at_b)
      hi = b, b = a, at_b = at_a, a = hi - golden * (hi - lo), at_a = function(a);
    else
      lo = a, a = b, at_a = at_b, b = lo + golden * (hi - lo), at_b = function(b);
  }
  return std::min(at_a, at_b);
}

}  // namespace

bool is_shape_law(const Law& law) {
  return law.name == "levine" || law.name == "width-depth" || law.name == "width-depth-size";
}

double ShapeRule::aspect(double n, const ShapeOptions& options) const {
  return fit ? aspect_at(*fit, fit->values(), n, options)
             : levine_aspect(n, options, levine_a, levine_b);
}

Range ShapeRule::aspect_interval(double n, const ShapeOptions& options) const {
  const double value = aspect(n, options);
  std::vector<double> draws{value};
  if (fit)
    for (const auto& c : fit->samples) draws.push_back(aspect_at(*fit, c, n, options));
  return {std::min(value, quantile(draws, 0.5 * (1.0 - level))),
          std::max(value, quantile(draws, 0.5 * (1.0 + level)))};
}

bool ShapeRule::prices() const {
  return fit && fit->law->target == "L";
}

double ShapeRule::price(const ModelShape& shape, double tokens, const ShapeOptions& options) const {
  if (!prices()) return 1.0;
  const double width = static_cast<double>(shape.width), depth = static_cast<double>(shape.depth);
  const double entries = static_cast<double>(options.vocabulary);
  const double blocks = shape.N - entries * width;  // k depth width^2
  const double own = loss_of(*fit, width, depth, shape.N, tokens);
  // Along N = k depth width^2 + entries width; the widest leaves a twentieth of N to the blocks.
  const double k = blocks / (depth * width * width);
  const double most = entries > 0.0 ? 0.95 * shape.N / entries : 20.0 * width;
  const double least = least_value(
      std::log(width / 20.0), std::log(std::min(20.0 * width, most)), [&](double log_width) {
        const double w = std::exp(log_width);
        return loss_of(*fit, w, (shape.N - entries * w) / (k * w * w), shape.N, tokens);
      });
  return std::max(1.0, own / least);
}

ShapeRule make_shape_rule(const Fit* fit, std::string source, double level) {
  if (!fit) source = "Levine et al. 2020's constants: no fit given knows width and depth";
  return {.fit = fit, .source = std::move(source), .level = level};
}

}  // namespace rung
