#ifdef RUNG_CUDA
#include "ops/cuda/shaped_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_shaped_sum(const Tensor& v, const Tensor& mixed, const ShapedGains& gains) {
  return mixed.scalar_type() == v.scalar_type() && v.size(3) % (2 * gains.alpha.value.size(1)) == 0;
}

Tensor shaped_sum(const Tensor& v, const Tensor& mixed, const ShapedGains& gains) {
  Tensor values, mixture, factors, y;
  ShapedSum shape{};
  {
    at::NoGradGuard off;
    values = v.detach().contiguous();
    mixture = mixed.detach().contiguous();
    factors = shaped_gains(gains);
    shape = {v.size(0), v.size(1), v.size(2), factors.size(2), v.size(3) / factors.size(2)};
    y = at::empty_like(values);
    shaped_sum_forward(type_of(values), shape, data(values), data(mixture), floats(factors),
                       writable(y), stream());
  }
  record(
      {y}, {v, mixed},
      [=](const std::vector<Tensor>& g) {
        const Tensor dy = g[0].contiguous();
        Tensor dv = at::empty_like(values), dmixed = at::empty_like(mixture);
        const Tensor partial =
            at::empty({shape.members, shape.batch, 3, shape.heads, shape.size}, factors.options());
        shaped_sum_backward(type_of(values), shape, data(values), data(mixture), floats(factors),
                            data(dy), writable(dv), writable(dmixed), floats(partial), stream());
        add_shaped_gains(gains, partial.sum(std::vector<int64_t>{1, 4}));
        return std::vector<Tensor>{dv, dmixed};
      },
      true);
  return y;
}

}  // namespace rung::cuda
#endif
