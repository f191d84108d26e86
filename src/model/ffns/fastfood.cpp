// An ffn whose two maps are fast structured transforms (Chatelain et al. 2021, arXiv 2109.11928,
// put such transforms in the place of dense layers; the transform is adaptive Fastfood, Yang et al.
// 2015): down(gelu(up(x))), up and down products S H G Pi H B of diagonals, Hadamard matrices and a
// fixed permutation. 3 (n blocks) weights a map. docs/parts/ffns.md derives the roles.
#include "ops/fastfood.h"

#include <cmath>

#include "model/channels.h"
#include "model/ffns/ffns.h"

namespace rung {
namespace {

// In the order of describe_fastfood: B, G and S of either map.
enum Index : size_t { up_b, up_g, up_s, down_b, down_g, down_s };

FastfoodShape up_shape(const ModelConfig& m) {
  return {m.width, ffn_width_of(m)};
}
FastfoodShape down_shape(const ModelConfig& m) {
  return {ffn_width_of(m), m.width};
}

double draw_sign(const TensorSpec&, int64_t, Random& random) {
  return random.uniform() < 0.5 ? -1.0 : 1.0;
}
double draw_normal(const TensorSpec&, int64_t, Random& random) {
  return random.normal();
}

// S starts where outputs have the inputs' size: (n / in)^1/2, as zeros fill the rest.
void describe_map(const std::string& name, FastfoodShape shape, std::vector<TensorSpec>& tensors) {
  const double scale = std::sqrt(static_cast<double>(shape.n()) / static_cast<double>(shape.in));
  const auto diagonal = [&](const char* which, Start start) {
    tensors.push_back(
        per_channel(name + "." + which, {shape.blocks() * shape.n()}, 1, std::move(start), true));
  };
  diagonal("B", draw_sign);
  diagonal("G", draw_normal);
  diagonal("S", [scale](const TensorSpec&, int64_t, Random&) { return scale; });
}

}  // namespace

std::vector<TensorSpec> describe_fastfood(const ModelConfig& m) {
  std::vector<TensorSpec> tensors;
  describe_map("up", up_shape(m), tensors);
  describe_map("down", down_shape(m), tensors);
  return tensors;
}

double fastfood_flops(const ModelConfig& m, int64_t time) {
  return static_cast<double>(time) * (up_shape(m).flops() + down_shape(m).flops());
}

at::Tensor fastfood_forward(std::span<const Weight> weights, const at::Tensor& x,
                            const Pass& pass) {
  const ModelConfig& m = pass.model;
  const at::Tensor inner = fastfood(x, make_fastfood(up_shape(m), "up", pass.layer), weights[up_b],
                                    weights[up_g], weights[up_s]);
  return fastfood(activation(Activation::gelu, inner, activation_options(pass)),
                  make_fastfood(down_shape(m), "down", pass.layer), weights[down_b],
                  weights[down_g], weights[down_s]);
}

}  // namespace rung
