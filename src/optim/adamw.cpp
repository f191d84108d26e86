#include "optim/adamw.h"

#include "ops/cpu/kernels.h"
#include "ops/cuda/kernels.h"
#include "ops/dispatch.h"
#include "optim/elementwise.h"
#ifdef RUNG_CUDA
#include "ops/cuda/gradients.h"
#endif

namespace rung {

using at::Tensor;

std::vector<StateSpec> adamw_state(const Layout& layout) {
  return {{first_moment, layout.stride}, {second_moment, layout.stride}};
}

void adamw_tensor(const StepInput& in, size_t index) {
  flat_part(in.layout, in.weights, index)
      .sub_(update_of(in, index, [&](const auto& part, const Tensor& g, const Factors& f) {
        const Moments moments = advance_moments(part, g);
        return moments.first / adam_denominator(in, moments.second, f);
      }));
}

void adamw_step_plain(const StepInput& in) {
  for (size_t i = 0; i < in.layout.tensors.size(); ++i) adamw_tensor(in, i);
}

namespace {

// Of members from `first` on.
SmallMoments moments_of(const StepInput& in, int64_t first) {
  const auto data = [&](const std::string& name) {
    const auto found = in.state.find(name);
    return found == in.state.end() ? nullptr : found->second.narrow(0, first, 1).mutable_data_ptr();
  };
  return {.kind = kind_of(in.state),
          .m = data(first_moment),
          .v = data(second_moment),
          .scale = static_cast<float*>(data(moment_scales))};
}

const uint64_t* keys_of(const StepInput& in, int64_t first) {
  if (!in.keys.defined()) return nullptr;
  return reinterpret_cast<const uint64_t*>(in.keys.const_data_ptr<int64_t>()) + first;
}

}  // namespace

#ifdef RUNG_CUDA
namespace {

cuda::ComputeCopy copy_of(const StepInput& in, int64_t first) {
  const auto row = [first](const Tensor& t) {
    return t.defined() ? t.narrow(0, first, 1).mutable_data_ptr() : nullptr;
  };
  return {row(in.compute), static_cast<uint8_t*>(row(in.codes))};
}

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
                cuda::gradients_of(in.gradient, in.split, first), floats(in.weights),
                moments_of(in, first), keys_of(in, first), copy_of(in, first), cuda::stream());
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
  if (in.split) {  // the CPU's kernels know one buffer
    StepInput whole = in;
    whole.gradient = joined(in.layout, *in.split);
    whole.split = nullptr;
    return adamw_step(whole);
  }
  if (!fused_on_cpu(in.weights)) return adamw_step_plain(in);
  for (int64_t p = 0; p < in.weights.size(0); ++p) {
    const float* h = in.hyper.select(0, p).const_data_ptr<float>();
    const auto row = [&](const Tensor& t) { return t.select(0, p).mutable_data_ptr<float>(); };
    const SmallMoments moments = moments_of(in, p);
    float *w = row(in.weights), *g = row(in.gradient);
    for (size_t i = 0; i < in.layout.tensors.size(); ++i) {
      const Factors& f = in.layout.factors[i];
      const int64_t at = in.layout.offsets[i], size = in.layout.tensors[i].size();
      const cpu::AdamStep step{.lr = h[hyper_lr] * static_cast<float>(f.C),
                               .decay = h[hyper_decay] * static_cast<float>(f.decay),
                               .beta1 = h[hyper_beta1],
                               .beta2 = h[hyper_beta2],
                               .epsilon = h[hyper_epsilon] * static_cast<float>(f.epsilon),
                               .correction1 = h[hyper_correction1],
                               .correction2 = h[hyper_correction2],
                               .gradient_scale = h[hyper_scale]};
      if (moments.kind == MomentKind::wide)
        cpu::adamw(size, step, g + at, w + at, static_cast<float*>(moments.m) + at,
                   static_cast<float*>(moments.v) + at);
      else
        cpu::adamw_small(at, size, step, g, w, moments, keys_of(in, p));
    }
  }
}

}  // namespace rung
