#include "scaling/unit_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "config/pattern.h"
#include "core/error.h"
#include "scaling/constraint.h"

namespace rung {

double log_interpolate(double alpha, double low, double high) {
  return std::exp(alpha * std::log(high) + (1.0 - alpha) * std::log(low));
}

OpFactor gelu_factor(double m) {
  const double alpha = 1.0 / (1.0 + 0.25 / (m * m));
  return {log_interpolate(alpha, 2.0, std::sqrt(2.0 / (1.0 - 1.0 / std::numbers::pi))),
          log_interpolate(alpha, 2.0, std::numbers::sqrt2)};
}

// As gelu in the forward pass; its slope flattens later.
OpFactor silu_factor(double m) {
  return {gelu_factor(m).forward,
          log_interpolate(1.0 / (1.0 + 1.0 / (m * m)), 2.0, std::numbers::sqrt2)};
}

OpFactor silu_glu_factor(double m) {
  const double factor = log_interpolate(1.0 / (1.0 + 1.0 / (m * m)), 2.0, std::numbers::sqrt2);
  return {factor, factor};
}

// x gelu(m g) / m: gelu's transition between g / 2 and relu, with silu_glu's zero-mean limits.
OpFactor gelu_glu_factor(double m) {
  const double factor = log_interpolate(1.0 / (1.0 + 0.25 / (m * m)), 2.0, std::numbers::sqrt2);
  return {factor, factor};
}

// For x ~ N(0, 1): var relu(x)^2 = 3/2 - 1/4, and E (2 relu(x))^2 = 2.
OpFactor relu_squared_factor() {
  return {1.0 / std::sqrt(1.25), 1.0 / std::numbers::sqrt2};
}

// x relu(g)^2: E relu(g)^4 = 3/2. One factor both ways, as of the other gated ones.
OpFactor relu_squared_glu_factor() {
  const double factor = std::sqrt(2.0 / 3.0);
  return {factor, factor};
}

namespace {

// A sum of k outputs with weights near 1 / k has size k^-1/2: routers and keys start undecided. The
// weights of a softmax over all experts are the model's to learn and get no factor.
FfnFactor moe_factor(const ModelConfig& model, double m) {
  const double k = model.moe_gates == "all" ? 1.0 : static_cast<double>(model.moe_top_k);
  return {silu_glu_factor(m), std::sqrt(k), model.moe_shared > 0 ? add_factor() : 1.0};
}

// The same over a sum of several heads.
FfnFactor peer_factor(const ModelConfig& model, double m) {
  const double k = static_cast<double>(model.peer_top_k), gelu = gelu_factor(m).forward;
  return {{gelu, gelu},
          std::sqrt(k / static_cast<double>(model.peer_heads)),
          model.peer_shared > 0 ? add_factor() : 1.0};
}

}  // namespace

FfnFactor ffn_factor(std::string_view ffn, const ModelConfig& model, double m,
                     std::string_view constraint) {
  const auto one = [&](const OpFactor& factor) {
    return FfnFactor{constrained(constraint, factor)};
  };
  if (ffn == no_ffn) return {};
  if (ffn == "swiglu") return one(silu_glu_factor(m));
  if (ffn == "geglu") return one(gelu_glu_factor(m));
  if (ffn == "gelu" || ffn == "fastfood") return one(gelu_factor(m));
  if (ffn == "silu") return one(silu_factor(m));
  if (ffn == "reglu2") return one(relu_squared_glu_factor());
  if (ffn == "relu2") return one(relu_squared_factor());
  if (ffn == "moe") return moe_factor(model, m);
  if (ffn == "peer") return peer_factor(model, m);
  fail_usage("[unit scaling] No factor is known for this ffn. Received {}.", ffn);
}

OpFactor softmax_factor(double m, int64_t n) {
  const double alpha = 1.0 / (1.0 + 4.0 / (m * m)), size = static_cast<double>(n);
  return {log_interpolate(alpha, size, std::sqrt(size)),
          log_interpolate(alpha, size / m, std::sqrt(size / m))};
}

double attention_factor(double m, int64_t head_dim, int64_t sequence, bool causal, double dropout) {
  if (sequence < 1) fail("[unit scaling] A sequence holds a token. Received length {}.", sequence);
  const double d = static_cast<double>(head_dim), s = static_cast<double>(sequence);
  // A single token attends to itself with weight 1 under both masks, where ln 1 = 0 would divide by
  // zero.
  const double visible = causal && sequence > 1 ? std::log(s) : 1.0;
  const double alpha = 1.0 / (1.0 + 4.0 * d / (m * m));
  return std::sqrt(1.0 - dropout) / log_interpolate(alpha, std::sqrt(visible / s), 1.0);
}

double attention_logit_factor(double m, int64_t head_dim) {
  return m / static_cast<double>(head_dim);
}

double cross_entropy_factor(int64_t vocabulary) {
  if (vocabulary < 2)
    fail("[unit scaling] Cross-entropy wants two classes. Received {}.", vocabulary);
  const double v = static_cast<double>(vocabulary);
  return v / std::sqrt(v - 1.0);
}

namespace {

double inverse_root(int64_t n) {
  return 1.0 / std::sqrt(static_cast<double>(n));
}

}  // namespace

MatmulFactor matmul_factor(int64_t in, int64_t out, int64_t rows) {
  return {inverse_root(in), inverse_root(out), inverse_root(rows)};
}

MatmulFactor readout_factor(int64_t in, int64_t out, int64_t rows) {
  return {1.0 / static_cast<double>(in), inverse_root(out), inverse_root(rows)};
}

MatmulFactor constrained(std::string_view constraint, const MatmulFactor& factor) {
  const OpFactor both = constrained(constraint, OpFactor{factor.output, factor.input_gradient});
  return {both.forward, both.backward, factor.weight_gradient};
}

// Each input takes part in out / groups filters at kernel / stride of their places.
MatmulFactor conv1d_factor(int64_t in_of_group, int64_t out, int64_t kernel, int64_t groups,
                           int64_t stride, int64_t positions) {
  return {inverse_root(in_of_group * kernel),
          std::sqrt(static_cast<double>(stride * groups)) * inverse_root(out * kernel),
          inverse_root(positions)};
}

double embedding_factor(int64_t vocabulary, int64_t tokens) {
  return std::sqrt(static_cast<double>(vocabulary) / static_cast<double>(tokens));
}

double norm_gain_factor(int64_t width, int64_t elements) {
  return std::sqrt(static_cast<double>(width) / static_cast<double>(elements));
}

double dropout_factor(double p) {
  return std::sqrt(1.0 - p);
}

double add_factor() {
  return 1.0 / std::numbers::sqrt2;
}

double broadcast_factor(int64_t copies) {
  return inverse_root(copies);
}

double mse_gradient_factor() {
  return 1.0 / std::sqrt(8.0);
}

// The embedding weighs as half of the branches (u-muP's L / 2).
std::vector<double> residual_taus(const std::vector<bool>& there, double alpha_res,
                                  double alpha_ratio) {
  const double ffn = alpha_res * std::sqrt(2.0 / (1.0 + alpha_ratio * alpha_ratio));
  const double attention = alpha_ratio * ffn;
  const double start = 0.5 * static_cast<double>(std::count(there.begin(), there.end(), true));
  double attentions = 0.0, ffns = 0.0;  // so far
  std::vector<double> taus;
  for (size_t b = 0; b < there.size(); ++b) {
    const double alpha = b % 2 == 0 ? attention : ffn;
    taus.push_back(
        there[b] ? alpha / std::sqrt(start + attentions * attention * attention + ffns * ffn * ffn)
                 : 0.0);
    if (there[b]) (b % 2 == 0 ? attentions : ffns) += 1.0;
  }
  return taus;
}

std::vector<ResidualFactor> residual_factors(const std::vector<bool>& there, double alpha_res,
                                             double alpha_ratio) {
  std::vector<ResidualFactor> factors;
  for (const double tau : residual_taus(there, alpha_res, alpha_ratio)) {
    const double root = std::sqrt(1.0 + tau * tau);
    factors.push_back({1.0 / root, tau / root, true});
  }
  return factors;
}

}  // namespace rung
