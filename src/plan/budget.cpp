#include "plan/budget.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

void limit(Path& path, double most, const char* name) {
  if (!(std::log(most) < path.hi)) return;
  path.hi = std::log(most);
  path.hi_limit = name;
}

// What the FLOPs of training and inference together leave it.
double tokens_of_life(const Path& path, double n, double each) {
  return std::isfinite(path.life) ? (path.life - 2.0 * n * path.inference_tokens) / each
                                  : unbounded;
}

}  // namespace

double Path::tokens(double log_n) const {
  const double n = std::exp(log_n);
  return tokens_at(n, flops_per_token(n));
}

double Path::tokens_at(double n, double each) const {
  return std::min({training / each, tokens_of_life(*this, n, each), max_tokens});
}

bool Path::data_limited(double log_n) const {
  return std::isfinite(max_tokens) && tokens(log_n) >= max_tokens * (1.0 - 1e-12);
}

std::string Path::tokens_limit(double n, double each) const {
  if (std::isfinite(max_tokens) && tokens_at(n, each) >= max_tokens * (1.0 - 1e-12))
    return data_limit;
  return training / each <= tokens_of_life(*this, n, each) ? "time" : "flops";
}

double stored_parameters(double n, double experts, const ShapeOptions& shape) {
  return n * (1.0 + (std::max(1.0, experts) - 1.0) * ffn_share(shape));
}

Path make_path(const PlanOptions& options, const Alternative& choice, double serve_bits,
               bool repeats) {
  const double bits_cost =
      options.bit_flops && choice.bits > 0.0 ? std::min(1.0, choice.bits / 16.0) : 1.0;
  Path path{.training = std::isfinite(options.seconds) ? options.seconds * options.rate : unbounded,
            .life = options.flops,
            .inference_tokens = options.inference_tokens,
            .max_tokens =
                repeats ? options.max_tokens : std::min(options.max_tokens, options.unique_tokens),
            .cost = 6.0 * bits_cost,
            .data_limit = repeats || options.max_tokens <= options.unique_tokens ? "max-tokens"
                                                                                 : "unique-tokens"};
  const double stored = stored_parameters(1.0, choice.experts, options.shape);
  // At least one token and one parameter.
  path.hi = std::log(std::min(path.training / path.cost,
                              path.life / (path.cost + 2.0 * options.inference_tokens)));
  limit(path, options.max_params, "max-params");
  limit(path, options.memory / options.bytes_per_parameter / stored, "memory");
  limit(path, options.inference_memory * 8.0 / serve_bits / stored, "inference-memory");
  if (std::isfinite(options.latency))
    limit(path, options.latency * options.bandwidth * 8.0 / serve_bits, "latency");
  if (!std::isfinite(path.hi) || (!std::isfinite(path.training) && !std::isfinite(path.life) &&
                                  !std::isfinite(path.max_tokens)))
    fail_usage(
        "[plan] Nothing bounds {}. Give a budget: --flops, or --time with --hardware, or limits on "
        "both size and tokens.",
        std::isfinite(path.hi) ? "the tokens" : "the size");
  return path;
}

void check_options(const PlanOptions& options) {
  const auto positive = [](const char* name, double value) {
    if (!(value > 0.0)) fail_usage("[plan] {} must be positive. Received {}.", name, value);
  };
  positive("flops", options.flops);
  positive("time", options.seconds);
  positive("max-tokens", options.max_tokens);
  positive("unique-tokens", options.unique_tokens);
  positive("max-params", options.max_params);
  positive("memory", options.memory);
  positive("bytes-per-parameter", options.bytes_per_parameter);
  positive("inference-memory", options.inference_memory);
  positive("inference-bits", options.inference_bits);
  positive("latency", options.latency);
  if (!(options.inference_tokens >= 0.0) || !std::isfinite(options.inference_tokens))
    fail_usage("[plan] inference-tokens must be finite and not negative. Received {}.",
               options.inference_tokens);
  if (std::isfinite(options.seconds) && !(options.rate > 0.0))
    fail_usage("[plan] A time needs what it runs on: --hardware or --peak-flops. Received {} s.",
               options.seconds);
  if (std::isfinite(options.latency) && !(options.bandwidth > 0.0))
    fail_usage(
        "[plan] A latency needs the memory bandwidth that serves: --serve-on or --bandwidth. "
        "Received {} s.",
        options.latency);
  if (!(options.size >= 0.0) || !std::isfinite(options.size))
    fail_usage("[plan] params must be positive. Received {}.", options.size);
  if ((options.width > 0) != (options.depth > 0))
    fail_usage("[plan] A given shape has a width and a depth. Received {} and {}.", options.width,
               options.depth);
  if (options.size > 0.0 && options.width > 0)
    fail_usage("[plan] Give a size or a shape, not both. Received {:g} and {} x {}.", options.size,
               options.width, options.depth);
  if (!(options.flat > 0.0 && options.flat < 1.0))
    fail_usage("[plan] flat lies between 0 and 1. Received {}.", options.flat);
  if (!(options.shape.ffn_ratio > 0.0))
    fail_usage("[plan] ffn-ratio must be positive. Received {}.", options.shape.ffn_ratio);
}

}  // namespace rung
