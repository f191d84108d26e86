#include "optim/schedule_free.h"

#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>

#include "optim/elementwise.h"

namespace rung {
namespace {

using at::Tensor;

// Of the average, per member: the largest rate so far and the sum of the steps' weights.
enum Average : int64_t { largest_rate, weight_sum, average_count };

// The new z's share of the average: lr_max^2 over the sum of all steps' lr_max^2.
Tensor new_share(const StepInput& in) {
  Tensor average = in.state.at("average");
  Tensor rate = average.narrow(1, largest_rate, 1), sum = average.narrow(1, weight_sum, 1);
  rate.copy_(at::maximum(rate, hyper_column(in, hyper_lr)));
  const Tensor weight = rate * rate;
  sum.add_(weight);
  return at::where(sum > 0.0, weight / sum, weight);
}

// z starts where y does.
void start_z(const StepInput& in) {
  const Tensor begun = in.state.at("average").narrow(1, weight_sum, 1) > 0.0;
  Tensor z = in.state.at("z");
  // Within a CUDA graph nothing may ask the device for numbers.
  if (z.is_cuda() || !begun.all().item<bool>()) z.copy_(at::where(begun, z, in.weights));
}

// y <- lerp(y, z, c) + (beta1 (1 - c) - 1) update; z <- z - update.
void move(const StepInput& in, size_t index, const Tensor& update, const Tensor& share) {
  Tensor y = flat_part(in.layout, in.weights, index);
  Tensor z = flat_part(in.layout, in.state.at("z"), index);
  const Tensor pull = hyper_column(in, hyper_beta1) * (1.0 - share) - 1.0;
  y.add_((z - y) * share + update * pull);
  z.sub_(update);
}

// The steps of all tensors; the weights being y, decay is evaluated there.
template <class Direction>
void step_at_average(const StepInput& in, Direction&& direction) {
  step_alive(in, [&] {
    start_z(in);
    const Tensor share = new_share(in);
    for (size_t i = 0; i < in.layout.tensors.size(); ++i)
      move(in, i, update_of(in, i, direction), share);
  });
}

}  // namespace

std::vector<StateSpec> schedule_free_adamw_state(const Layout& layout) {
  return {{"z", layout.stride}, {"exp_avg_sq", layout.stride}, {"average", average_count}};
}

std::vector<StateSpec> schedule_free_sgd_state(const Layout& layout) {
  return {{"z", layout.stride}, {"average", average_count}};
}

void schedule_free_adamw_step(const StepInput& in) {
  const Tensor beta2 = hyper_column(in, hyper_beta2);
  step_at_average(in, [&](const auto& part, const Tensor& g, const Factors& f) {
    Tensor v = part(in.state.at("exp_avg_sq"));
    v.mul_(beta2).add_(g * g * (1.0 - beta2));
    return g / adam_denominator(in, v / hyper_column(in, hyper_correction2), f);
  });
}

void schedule_free_sgd_step(const StepInput& in) {
  step_at_average(in, [](const auto&, const Tensor& g, const Factors&) { return g; });
}

Tensor schedule_free_average(const EvalInput& in) {
  const Tensor begun = in.state.at("average").narrow(1, weight_sum, 1) > 0.0;
  const Tensor x = in.weights + (in.state.at("z") - in.weights) * (1.0 - 1.0 / in.beta1);
  return at::where(begun, x, in.weights);
}

}  // namespace rung
