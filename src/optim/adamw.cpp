#include "optim/adamw.h"

#include "ops/cpu/kernels.h"
#include "ops/cuda/kernels.h"
#include "ops/dispatch.h"
#include "optim/elementwise.h"
#ifdef RUNG_CUDA
#include "ops/cuda/tensor.h"
#endif

namespace rung {

using at::Tensor;

std::vector<StateSpec> adamw_state(const Layout& layout) {
  return {{"exp_avg", layout.stride}, {"exp_avg_sq", layout.stride}};
}

void adamw_tensor(const StepInput& in, size_t index) {
  flat_part(in.layout, in.weights, index)
      .sub_(update_of(in, index, [&](const auto& part, const Tensor& g, const Factors& f) {
        const Moments moments = advance_moments(in, part, g);
        return moments.first / adam_denominator(in, moments.second, f);
      }));
}

void adamw_step_plain(const StepInput& in) {
  for (size_t i = 0; i < in.layout.tensors.size(); ++i) adamw_tensor(in, i);
}

#ifdef RUNG_CUDA
namespace {

// Rows of one member each where members lie further apart than they are long: behind the weights
// that move lie frozen ones.
void adamw_cuda(const StepInput& in, int64_t begin, int64_t end) {
  const Tensor slots =
      in.slots.defined() ? in.slots : make_slots(in.layout).to(in.weights.device());
  const auto step = [&](int64_t first, int64_t members) {
    const auto floats = [first](const Tensor& t) {
      return t.narrow(0, first, 1).mutable_data_ptr<float>();
    };
    cuda::adamw({members, in.weights.size(1), begin, end}, slots.mutable_data_ptr<float>(),
                floats(in.hyper),
                in.alive.defined() ? in.alive.const_data_ptr<int>() + first : nullptr,
                floats(in.gradient), floats(in.weights), floats(in.state.at("exp_avg")),
                floats(in.state.at("exp_avg_sq")),
                in.compute.defined() ? in.compute.narrow(0, first, 1).mutable_data_ptr() : nullptr,
                cuda::stream());
  };
  const int64_t members = in.weights.size(0);
  if (in.weights.stride(0) == in.weights.size(1)) return step(0, members);
  for (int64_t m = 0; m < members; ++m) step(m, 1);
}

}  // namespace

void adamw_others_cuda(const StepInput& in) {
  const Layout& layout = in.layout;
  for (size_t i = 0; i < layout.tensors.size();) {
    size_t end = i;
    while (end < layout.tensors.size() && !is_hidden_matrix(layout.tensors[end])) ++end;
    const auto offset = [&](size_t t) {
      return t < layout.tensors.size() ? layout.offsets[t] : layout.stride;
    };
    if (end > i) adamw_cuda(in, offset(i), offset(end));
    i = end + 1;
  }
}
#endif

void adamw_step(const StepInput& in) {
#ifdef RUNG_CUDA
  if (fused_on_cuda(in.weights)) return adamw_cuda(in, 0, in.weights.size(1));
#endif
  if (!fused_on_cpu(in.weights)) return adamw_step_plain(in);
  for (int64_t p = 0; p < in.weights.size(0); ++p) {
    const float* h = in.hyper.select(0, p).const_data_ptr<float>();
    const auto row = [&](const Tensor& t) { return t.select(0, p).mutable_data_ptr<float>(); };
    float *m = row(in.state.at("exp_avg")), *v = row(in.state.at("exp_avg_sq"));
    float *w = row(in.weights), *g = row(in.gradient);
    for (size_t i = 0; i < in.layout.tensors.size(); ++i) {
      const Factors& f = in.layout.factors[i];
      const int64_t at = in.layout.offsets[i];
      cpu::adamw(in.layout.tensors[i].size(),
                 {.lr = h[hyper_lr] * static_cast<float>(f.C),
                  .decay = h[hyper_decay] * static_cast<float>(f.decay),
                  .beta1 = h[hyper_beta1],
                  .beta2 = h[hyper_beta2],
                  .epsilon = h[hyper_epsilon] * static_cast<float>(f.epsilon),
                  .correction1 = h[hyper_correction1],
                  .correction2 = h[hyper_correction2],
                  .gradient_scale = h[hyper_scale]},
                 g + at, w + at, m + at, v + at);
    }
  }
}

}  // namespace rung
