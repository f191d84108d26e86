// A decoder with weights, and what one batch does to it.
#pragma once
#include <ATen/Parallel.h>

#include "model/decoder.h"
#include "support/configs.h"
#include "support/twins.h"

namespace rung::test {

// A configuration off the defaults.
struct Variant {
  const char* name;
  void (*change)(RunConfig&);
};

struct Model {
  Decoder decoder;
  Tensor weights, gradient;  // [P, n]
  Ropes ropes;

  std::vector<Weight> bound() const { return bind(decoder.layout, weights, gradient); }
};

// Members seed, seed + 1, ...; weights are initialised, gains moved off 1, biases and empty tensors
// off 0.
inline Model make_model(const RunConfig& config, int64_t vocabulary, at::ScalarType type,
                        int64_t members = 1) {
  at::set_num_threads(1);  // tensors this small only lose by more
  Model model{
      .decoder = make_decoder(config, vocabulary), .weights = {}, .gradient = {}, .ropes = {}};
  const Layout& layout = model.decoder.layout;
  Tensor values = at::zeros({members, layout.stride}, at::kDouble);
  for (int64_t p = 0; p < members; ++p)
    initialise(layout, values.select(0, p), config.seed + static_cast<uint64_t>(p));
  for (size_t i = 0; i < layout.tensors.size(); ++i)
    if (const TensorSpec& spec = layout.tensors[i];
        spec.role == Role::gain || spec.role == Role::bias || spec.init_std_factor == 0.0) {
      Tensor flat = view(layout, values, i);
      flat.add_(normal(flat.sizes().vec(), i) * 0.2);
    }
  model.weights = values.to(type);
  model.gradient = at::zeros_like(model.weights);
  model.ropes = make_ropes(config.model, config.model.context, model.weights.options());
  return model;
}

struct Batch {
  Tensor tokens, targets;  // [P, B, T]
};

inline Batch make_batch(const RunConfig& config, int64_t vocabulary, int64_t members,
                        int64_t count) {
  const Tensor windows = ids({members, count, config.model.context + 1}, vocabulary, 21);
  return {windows.narrow(2, 0, config.model.context).contiguous(),
          windows.narrow(2, 1, config.model.context).contiguous()};
}

// Losses [P, B, T]; the gradient of their mean lands in model.gradient.
inline Tensor loss_and_gradient(Model& model, const Batch& batch) {
  model.gradient.zero_();
  const auto bound = model.bound();
  const double count = static_cast<double>(batch.tokens.size(1) * batch.tokens.size(2));
  const Tensor losses =
      token_losses(model.decoder, bound, batch.tokens, batch.targets, model.ropes, 1.0 / count);
  losses.sum().backward();
  return losses.detach();
}

// Slope of loss() over weight `at` of a model in fp64, from h below to h above.
template <class Loss>
double central_difference(Model& model, int64_t at, double h, Loss&& loss) {
  double& value = model.weights.mutable_data_ptr<double>()[at];
  const double kept = value;
  value = kept + h;
  const double above = loss();
  value = kept - h;
  const double below = loss();
  value = kept;
  return (above - below) / (2.0 * h);
}

}  // namespace rung::test
