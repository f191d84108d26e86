#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

struct SavedNorm {
  Tensor h, mean, rstd;
};

NormShape norm_shape_of(const Tensor& x, const Weight& gain, const NormOptions& o) {
  return {x.size(0), x.size(1) * x.size(2),
          x.size(3), static_cast<float>(o.epsilon),
          o.center,  gain.value.defined() ? gain.value.stride(0) : 0};
}

// Gradients of x and f from those of h and y; the second is undefined when both are the same.
std::pair<Tensor, Tensor> gradients(const SavedNorm& saved, const Weight& gain,
                                    const NormOptions& o, const Tensor& dy, const Tensor& dh,
                                    double skip, double branch) {
  const NormShape shape = norm_shape_of(dy, gain, o);
  Tensor dx = at::empty_like(dy), df, partial;
  if (branch != skip) df = at::empty_like(dy);
  if (gain.gradient.defined())
    partial = at::empty({shape.members, norm_blocks(shape), shape.width}, saved.mean.options());
  const NormGradient gradient{.dy = data(dy),
                              .dh = data(dh),
                              .input_gradient = static_cast<float>(o.input_gradient),
                              .skip = static_cast<float>(skip),
                              .branch = static_cast<float>(branch),
                              .dx = writable(dx),
                              .df = writable(df),
                              .dgain = floats(gain.gradient),
                              .dgain_stride = gain.gradient.defined() ? gain.gradient.stride(0) : 0,
                              .partial = floats(partial)};
  norm_backward(type_of(dy), shape, data(saved.h), floats(saved.mean), floats(saved.rstd),
                data(gain.value), gradient, stream());
  return {dx, df};
}

}  // namespace

bool fits_norm(const Tensor& x, const Weight& gain) {
  return x.size(3) % 8 == 0 && x.size(3) <= max_norm_width && x.size(0) < 65536 &&
         (!gain.value.defined() || gain.value.scalar_type() == x.scalar_type());
}

std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& f, const Weight& gain,
                                   const NormOptions& o) {
  const Tensor input = x.detach().contiguous();
  const Tensor branch = f.defined() ? f.detach().contiguous() : Tensor();
  const NormShape shape = norm_shape_of(input, gain, o);
  SavedNorm saved;
  Tensor y, h;
  {
    at::NoGradGuard off;
    y = at::empty_like(input);
    h = f.defined() ? at::empty_like(input) : input;
    const auto wide = input.options().dtype(at::kFloat);
    saved = {h.detach(), at::empty({shape.members, shape.rows}, wide),
             at::empty({shape.members, shape.rows}, wide)};
    add_norm_forward(type_of(input), shape, data(input), data(branch), static_cast<float>(o.skip),
                     static_cast<float>(o.branch), data(gain.value), writable(h), writable(y),
                     floats(saved.mean), floats(saved.rstd), stream());
  }
  if (!f.defined()) {
    h = input.detach();
    record({h, y}, {x}, [=](const std::vector<Tensor>& g) {
      const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
      if (!g[1].defined()) return std::vector<Tensor>{dh};
      return std::vector<Tensor>{gradients(saved, gain, o, g[1].contiguous(), dh, 1.0, 1.0).first};
    });
    return {h, y};
  }
  record({h, y}, {x, f}, [=](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
    if (!g[1].defined()) return std::vector<Tensor>{dh * o.skip, dh * o.branch_gradient};
    const auto [dx, df] =
        gradients(saved, gain, o, g[1].contiguous(), dh, o.skip, o.branch_gradient);
    return std::vector<Tensor>{dx, df.defined() ? df : dx};
  });
  return {h, y};
}

}  // namespace rung::cuda
#endif
