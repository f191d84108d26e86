#include "plan/shapes.h"

#include <algorithm>
#include <cmath>

namespace rung {
namespace {

// A shape this far off in size weighs as much as one off by that factor in aspect.
constexpr double size_scale = 0.04, aspect_scale = 0.35;
constexpr int64_t widest = 1 << 17, deepest = 2000;

// Squared, of a size and an aspect from those that are wanted.
double distance(double n, double aspect, double wanted_n, double wanted_aspect) {
  const double size = std::log(n / wanted_n) / size_scale;
  const double ratio = std::log(aspect / wanted_aspect) / aspect_scale;
  return size * size + ratio * ratio;
}

// The shape nearest to a size and the aspect that the rule prefers there, N at most `most`.
std::optional<ModelShape> nearest_shape(double n, double most, const ShapeRule& rule,
                                        const ShapeOptions& options) {
  const double aspect = rule.aspect(n, options);
  int64_t best_width = 0, best_depth = 0;
  double least = unbounded, best_n = 0.0;
  const double ideal = std::cbrt(aspect * n / block_factor(options));
  const auto from = static_cast<int64_t>(0.4 * ideal), to = static_cast<int64_t>(2.5 * ideal);
  for (int64_t width = 0; width <= std::min(to + 128, widest);) {
    const int64_t step = width_step(std::max<int64_t>(width, 64), options);
    width = width / step * step + step;
    const int64_t head = head_size_of(width, options);
    if (width < from || width % head != 0) continue;
    if (options.kv_heads > 0 && width / head % options.kv_heads != 0) continue;
    // N is linear in the depth.
    const double one = make_shape(width, 1, options).N;
    const double block = make_shape(width, 2, options).N - one;
    const auto layers = static_cast<int64_t>(std::llround(1.0 + (n - one) / block));
    for (int64_t depth = layers - 1; depth <= layers + 1; ++depth) {
      if (depth < 1 || depth > deepest) continue;
      const double size = one + static_cast<double>(depth - 1) * block;
      const double ratio = static_cast<double>(width) / static_cast<double>(depth);
      const double off = distance(size, ratio, n, aspect);
      if (size > most * (1.0 + 1e-9) || off >= least) continue;
      least = off, best_n = size, best_width = width, best_depth = depth;
    }
  }
  // The smallest shape of all may still be far too large.
  if (best_width == 0 || std::fabs(std::log(best_n / n)) > 0.7) return std::nullopt;
  return make_shape(best_width, best_depth, options);
}

bool same(const ModelShape& a, const ModelShape& b) {
  return a.width == b.width && a.depth == b.depth;
}

// Whether the limits that depend on all stored parameters hold, embeddings included.
bool fits(const ShapeCandidate& candidate, const PlanOptions& options, double serve_bits) {
  return candidate.memory <= options.memory &&
         candidate.shape.N_total * serve_bits / 8.0 <= options.inference_memory;
}

}  // namespace

double tokens_of(const Path& path, const ModelShape& shape) {
  return path.tokens_at(shape.N, shape.flops_per_token * path.cost / 6.0);
}

ShapeCandidate judge_shape(const Surface& surface, const Path& path, const PlanOptions& options,
                           const ShapeRule& rule, const ModelShape& shape, double best_loss,
                           double serve_bits) {
  ShapeCandidate candidate{.shape = shape, .D = tokens_of(path, shape)};
  candidate.price = rule.price(shape, candidate.D, options.shape);
  candidate.loss = candidate.price * surface(Surface::best, shape.N - shape.N_router, candidate.D);
  candidate.excess = candidate.loss / best_loss - 1.0;
  candidate.flops = shape.flops_per_token * candidate.D;
  candidate.seconds =
      options.rate > 0.0 ? candidate.flops * path.cost / 6.0 / options.rate : std::nan("");
  candidate.memory = shape.N_total * options.bytes_per_parameter;
  candidate.latency =
      options.bandwidth > 0.0 ? shape.N * serve_bits / 8.0 / options.bandwidth : std::nan("");
  return candidate;
}

std::vector<ShapeCandidate> find_shapes(const Surface& surface, const Path& path,
                                        const PlanOptions& options, const ShapeRule& rule,
                                        const Plan& plan) {
  ShapeOptions shape_options = options.shape;
  choose_experts(plan.choice.experts, plan.choice.granularity, shape_options);
  const double serve_bits = plan.choice.bits > 0.0 ? plan.choice.bits : options.inference_bits;
  const double best_loss =
      plan.given ? plan.given->best_loss : surface(Surface::best, plan.N, plan.D);
  const double most = std::exp(path.hi);
  std::vector<double> sizes{plan.N};
  if (std::isfinite(plan.flat_N.min) && !plan.given)
    for (size_t i = 1; i < options.candidates; ++i) {
      const double at =
          static_cast<double>(i - 1) / std::max<double>(1.0, double(options.candidates) - 2.0);
      sizes.push_back(plan.flat_N.min * std::pow(plan.flat_N.max / plan.flat_N.min, at));
    }
  std::vector<ShapeCandidate> list;
  for (const double n : sizes) {
    const auto shape = nearest_shape(n, plan.given ? unbounded : most, rule, shape_options);
    if (!shape) continue;
    if (std::any_of(list.begin(), list.end(),
                    [&](const ShapeCandidate& c) { return same(c.shape, *shape); }))
      continue;
    const ShapeCandidate candidate =
        judge_shape(surface, path, options, rule, *shape, best_loss, serve_bits);
    const bool first = list.empty();
    const bool near = first || candidate.excess <= 1.02 * options.flat;
    if (candidate.D >= 1.0 && near && fits(candidate, options, serve_bits))
      list.push_back(candidate);
  }
  std::stable_sort(list.begin(), list.end(), [](const ShapeCandidate& a, const ShapeCandidate& b) {
    return a.loss < b.loss;
  });
  return list;
}

}  // namespace rung
