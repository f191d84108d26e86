#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/normed_sum.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

NormShape norm_shape_of(const Tensor& x, const Weight& gain, const NormOptions& o) {
  return {x.size(0), x.size(1) * x.size(2),
          x.size(3), static_cast<float>(o.epsilon),
          o.center,  gain.value.defined() ? gain.value.stride(0) : 0};
}

}  // namespace

Tensor normed_sum(NormedSum& sum, const Tensor& h, const Tensor& f, const Weight& gain,
                  const NormOptions& o) {
  const NormShape shape = norm_shape_of(h, gain, o);
  const auto wide = h.options().dtype(at::kFloat);
  sum = {f.defined() ? at::empty_like(h) : h, at::empty({shape.members, shape.rows}, wide),
         at::empty({shape.members, shape.rows}, wide)};
  Tensor y = at::empty_like(h);
  add_norm_forward(type_of(h), shape, data(h), data(f), static_cast<float>(o.skip),
                   static_cast<float>(o.branch), data(gain.value),
                   f.defined() ? writable(sum.h) : nullptr, writable(y), floats(sum.mean),
                   floats(sum.rstd), stream());
  return y;
}

std::pair<Tensor, Tensor> normed_sum_gradients(const NormedSum& sum, const Weight& gain,
                                               const NormOptions& o, const Tensor& dy,
                                               const Tensor& dh, double dh_factor, double skip,
                                               double branch) {
  const NormShape shape = norm_shape_of(dy, gain, o);
  Tensor dx = at::empty_like(dy), df, partial;
  if (branch != skip) df = at::empty_like(dy);
  if (gain.gradient.defined())
    partial = at::empty({shape.members, norm_blocks(shape), shape.width}, sum.mean.options());
  const NormGradient gradient{.dy = data(dy),
                              .dh = data(dh),
                              .dh_factor = static_cast<float>(dh_factor),
                              .input_gradient = static_cast<float>(o.input_gradient),
                              .skip = static_cast<float>(skip),
                              .branch = static_cast<float>(branch),
                              .dx = writable(dx),
                              .df = writable(df),
                              .dgain = floats(gain.gradient),
                              .dgain_stride = gain.gradient.defined() ? gain.gradient.stride(0) : 0,
                              .partial = floats(partial)};
  norm_backward(type_of(dy), shape, data(sum.h), floats(sum.mean), floats(sum.rstd),
                data(gain.value), gradient, stream());
  return {dx, df};
}

bool fits_norm(const Tensor& x, const Weight& gain) {
  return x.size(3) % 8 == 0 && x.size(3) <= max_norm_width && x.size(0) < 65536 &&
         (!gain.value.defined() || gain.value.scalar_type() == x.scalar_type());
}

std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& f, const Weight& gain,
                                   const NormOptions& o, double dh_factor) {
  NormedSum sum;
  Tensor y, h;
  {
    const at::NoGradGuard off;
    y = normed_sum(sum, x.detach().contiguous(), f.defined() ? f.detach().contiguous() : f, gain,
                   o);
    h = sum.h.detach();
  }
  const bool adds = f.defined();
  const double skip = adds ? o.skip : 1.0, branch = adds ? o.branch_gradient : 1.0;
  record({h, y}, adds ? std::vector{x, f} : std::vector{x}, [=](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
    std::vector<Tensor> result;
    if (g[1].defined()) {
      const auto [dx, df] =
          normed_sum_gradients(sum, gain, o, g[1].contiguous(), dh, dh_factor, skip, branch);
      result = {dx, df.defined() ? df : dx};
    } else {
      const auto times = [&](double factor) { return factor == 1.0 ? dh : dh * factor; };
      result = {times(dh_factor * skip), times(dh_factor * branch)};
    }
    if (!adds) result.pop_back();
    return result;
  });
  return {h, y};
}

}  // namespace rung::cuda
#endif
