#ifdef RUNG_CUDA
#include "train/cuda_weights.h"

#include <ATen/ops/zeros.h>

#include "ops/cuda/fp8.h"
#include "ops/cuda/tensor.h"
#include "train/coded_weights.h"
#include "train/product_gradients.h"

namespace rung {

using at::Tensor;

namespace {

void bind_gradients(const Population& p, CudaWeights& w, bool at_once) {
  const Layout& layout = p.decoder.layout;
  const std::vector<size_t> first = written_first(p.decoder),
                            half = half_gradients(p.decoder, p.states.front().config);
  if (at_once && !half.empty())
    w.split = make_gradient_arena(layout, half, p.members(), p.weights.options());
  else
    w.gradient = at::zeros({p.members(), p.trained.stride}, p.weights.options());
  w.bound = bind(layout, w.compute.defined() ? w.compute : p.weights, w.gradient);
  for (size_t i = 0; w.split && i < w.bound.size(); ++i)
    w.bound[i].gradient = view(layout, *w.split, i);
  for (const size_t i : first) w.blank.push_back(w.bound[i].gradient);
  w.cleared = all_but(layout, w.split ? w.split->begin : layout.offsets, first);
}

void bind_codes(const Population& p, CudaWeights& w) {
  constexpr int64_t unit = 128;
  const Layout& layout = p.decoder.layout;
  w.coded = coded_weights(p.decoder, p.states.front().config);
  if (w.coded.empty()) return;
  w.codes =
      at::zeros({p.members(), p.trained.stride}, p.weights.options().dtype(at::kFloat8_e4m3fn));
  for (const size_t i : w.coded) {
    w.bound[i].codes = view(layout, w.codes, i);
    const int64_t units = (layout.tensors[i].size() + unit - 1) / unit;
    w.slots.narrow(0, layout.offsets[i] / unit, units)
        .select(1, 3)
        .fill_(layout.tensors[i].formats->weight.scale);
  }
}

}  // namespace

CudaWeights make_cuda_weights(const Population& p, bool half, bool at_once) {
  CudaWeights w;
  if (half)
    w.compute =
        at::zeros({p.members(), p.decoder.layout.stride}, p.weights.options().dtype(at::kBFloat16));
  w.slots = make_slots(p.trained).to(p.weights.device());
  bind_gradients(p, w, at_once);
  bind_codes(p, w);
  return w;
}

void round_weights(const Population& p, const CudaWeights& w) {
  if (!w.compute.defined()) return;
  cuda::round_to_bf16(p.weights.numel(), p.weights.const_data_ptr<float>(),
                      w.compute.mutable_data_ptr(), cuda::stream());
  for (const size_t i : w.coded)
    cuda::fp8_cast_into(w.bound[i].codes, w.bound[i].value, w.bound[i].formats->weight);
}

void mask_gradients(const Population& p, const CudaWeights& w) {
  if (!p.mask.defined()) return;
  if (!w.split) {
    w.gradient.mul_(p.mask.narrow(1, 0, p.trained.stride));
    return;
  }
  const Layout& layout = p.decoder.layout;
  for (size_t i = 0; i < w.bound.size(); ++i)
    if (layout.tensors[i].density < 1.0 && w.bound[i].gradient.defined())
      w.bound[i].gradient.mul_(view(layout, p.mask, i));
}

}  // namespace rung
#endif
