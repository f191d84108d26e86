// Checks that a fused op and its plain twin are one function: values, gradients of inputs and of
// weights.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/random.h"
#include "ops/weight.h"

namespace rung::test {

using at::Tensor;

// Standard normal numbers, the same on every machine.
inline Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  Tensor t = at::empty(shape, at::kDouble);
  Random random(seed, "test");
  double* values = t.mutable_data_ptr<double>();
  for (int64_t i = 0; i < t.numel(); ++i) values[i] = random.normal();
  return t;
}

// Token ids below `bound`.
inline Tensor ids(const std::vector<int64_t>& shape, int64_t bound, uint64_t seed) {
  Tensor t = at::empty(shape, at::kLong);
  Random random(seed, "ids");
  int64_t* values = t.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < t.numel(); ++i)
    values[i] = static_cast<int64_t>(random.below(static_cast<uint64_t>(bound)));
  return t;
}

// Largest difference over the largest size; not a number where either holds one.
inline double distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  const Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  if (x.numel() == 0) return 0.0;
  const double gap = (x - y).abs().max().item<double>(), size = y.abs().max().item<double>();
  return gap / std::max(size, 1e-30);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && a.equal(b);
}

// An op of inputs and weights; `weights` carry the multipliers, run() fills in value and gradient.
struct Twin {
  std::string name;
  std::vector<Tensor> inputs, weights;  // fp64 values; weights may be empty
  Weight factors = {};                  // A, A_input, A_weight of every weight
  using Op =
      std::function<std::vector<Tensor>(const std::vector<Tensor>&, const std::vector<Weight>&)>;
  Op fused, plain;
  bool unit_upstream = false;  // outputs are losses: the gradient that arrives is one
};

// Outputs, then input gradients, then weight gradients.
inline std::vector<Tensor> run(const Twin& twin, const Twin::Op& op, at::ScalarType type) {
  std::vector<Tensor> inputs, results;
  std::vector<Weight> weights;
  for (const Tensor& x : twin.inputs)
    inputs.push_back(x.is_floating_point() ? x.to(type).clone().set_requires_grad(true) : x);
  for (size_t i = 0; i < twin.weights.size(); ++i) {
    Weight w = twin.factors;
    w.value = twin.weights[i].to(type);
    w.gradient = normal(w.value.sizes().vec(), 900 + i).to(type);  // gradients are added
    weights.push_back(w);
  }
  Tensor total;
  uint64_t seed = 700;
  for (const Tensor& y : op(inputs, weights)) {
    results.push_back(y.detach());
    const Tensor sum =
        twin.unit_upstream ? y.sum() : (y * normal(y.sizes().vec(), seed++).to(type)).sum();
    total = total.defined() ? total + sum : sum;
  }
  total.backward();
  for (const Tensor& x : inputs)
    if (x.is_floating_point()) results.push_back(x.grad());
  for (const Weight& w : weights) results.push_back(w.gradient);
  return results;
}

// The fused op in fp32 against the plain twin in fp64, and the plain twin in fp32 against itself.
inline void check_twin(const Twin& twin, double tolerance = 2e-5) {
  CAPTURE(twin.name);
  const auto want = run(twin, twin.plain, at::kDouble);
  for (const Twin::Op& op : {twin.fused, twin.plain}) {
    const auto got = run(twin, op, at::kFloat);
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      CHECK(distance(got[i], want[i]) < tolerance);
    }
  }
}

}  // namespace rung::test
