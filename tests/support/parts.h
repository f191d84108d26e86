// A part alone, with sines for weights, against its golden and against itself in pieces.
#pragma once
#include <ATen/ops/cat.h>

#include <cmath>
#include <map>

#include "model/decoder.h"
#include "support/goldens.h"

namespace rung::test {

struct Wave {
  std::string name;
  double step, size, shift;
};

struct TestPart {
  const Part& part;
  ModelConfig model;
  double loss_factor = 0.0;  // of auxiliary losses
  int layer = 0;
  BlockFactors block{};
  Rope rope{};
  std::vector<TensorSpec> specs;  // its own, then those that its layers share
  size_t own = 0;
  std::vector<Weight> weights;

  TestPart(const char* name, const ModelConfig& m, const std::vector<Wave>& waves,
           at::ScalarType type, std::span<const Part> table = mixers())
      : part(find_part(table, "part", name)), model(m), specs(part.describe(m)) {
    own = specs.size();
    if (part.describe_shared)
      for (TensorSpec& spec : part.describe_shared(m)) specs.push_back(std::move(spec));
    block.attention_logit = 1.0 / std::sqrt(static_cast<double>(head_dim_of(m)));
    REQUIRE(specs.size() == waves.size());
    for (const TensorSpec& spec : specs) {
      std::vector<int64_t> shape{1};
      shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
      for (const Wave& w : waves)
        if (spec.name == w.name)
          weights.push_back({.value = sines(shape, w.step, w.size, w.shift).to(type)});
      weights.back().gradient = at::zeros_like(weights.back().value);
    }
    REQUIRE(weights.size() == specs.size());
  }
  Tensor forward(const Tensor& x, MixerState* state = nullptr, Tally* tally = nullptr) const {
    return part.forward(weights, x,
                        {.model = model,
                         .block = block,
                         .rope = rope,
                         .layer = layer,
                         .state = state,
                         .shared = std::span(weights).subspan(own),
                         .loss_factor = loss_factor,
                         .tally = tally});
  }
};

// Output and gradients of sum(out * sines); returns the state after the last step.
inline MixerState check_part(const TestPart& part, const Json& golden, double tolerance) {
  const at::ScalarType type = part.weights[0].value.scalar_type();
  const Tensor x = sines({1, 2, 11, part.model.width}, 0.83, 1.4).to(type).requires_grad_();
  MixerState state;
  const Tensor out = part.forward(x, &state);
  CHECK(distance(out, golden_tensor(golden.at("out"), out)) < tolerance);
  (out * sines(out.sizes().vec(), 0.3).to(type)).sum().backward();
  CHECK(distance(x.grad(), golden_tensor(golden.at("dx"), x)) < tolerance);
  for (size_t i = 0; i < part.specs.size(); ++i) {
    CAPTURE(part.specs[i].name);
    const Tensor& gradient = part.weights[i].gradient;
    const Tensor want = golden_tensor(golden.at("d" + part.specs[i].name), gradient);
    CHECK(distance(gradient, want) < tolerance);
  }
  return state;
}

inline void check_state(const Tensor& value, const Json& golden, double tolerance) {
  CHECK(distance(value, golden_tensor(golden, value)) < tolerance);
}

// A sequence is the same step by step and in uneven pieces.
inline void check_pieces(const TestPart& part) {
  const Tensor x = normal({1, 3, 10, part.model.width}, 5);
  const Tensor whole = part.forward(x);
  for (const std::vector<int64_t>& cuts :
       {std::vector<int64_t>(10, 1), {7, 1, 1, 1}, {1, 2, 7}, {5, 5}}) {
    MixerState state;
    std::vector<Tensor> pieces;
    int64_t at = 0;
    for (const int64_t count : cuts) {
      pieces.push_back(part.forward(x.narrow(2, at, count).contiguous(), &state));
      at += count;
    }
    CHECK(distance(at::cat(pieces, 2), whole) < 1e-12);
  }
}

// The values at initialisation and the factors of a decoder's tensors, by name.
inline std::map<std::string, Tensor> started(const RunConfig& config) {
  const Decoder d = make_decoder(config, 11);
  Tensor row = at::zeros({d.layout.stride}, at::kDouble);
  initialise(d.layout, row, 3);
  std::map<std::string, Tensor> values;
  for (size_t i = 0; i < d.layout.tensors.size(); ++i)
    values[d.layout.tensors[i].name] = view(d.layout, row.unsqueeze(0), i);
  return values;
}
inline std::map<std::string, Factors> factors_by_name(const RunConfig& config) {
  const Decoder d = make_decoder(config, 11);
  std::map<std::string, Factors> factors;
  for (size_t i = 0; i < d.layout.tensors.size(); ++i)
    factors[d.layout.tensors[i].name] = d.layout.factors[i];
  return factors;
}

}  // namespace rung::test
