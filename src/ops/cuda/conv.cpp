#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_conv(const Tensor& x, const Weight& filter) {
  return x.size(3) % 8 == 0 && filter.value.size(2) <= max_conv_size;
}

Tensor conv_silu(const Tensor& x, const Weight& filter, const Weight& bias) {
  const ConvShape shape{x.size(0), x.size(1), x.size(2), x.size(3), filter.value.size(2)};
  Tensor input, taps, shift, y;
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    taps = (filter.value.detach().to(at::kFloat) * filter.A).transpose(1, 2).contiguous();
    shift = (bias.value.detach().to(at::kFloat) * bias.A).contiguous();
    y = at::empty_like(input);
    conv_silu_forward(type_of(input), shape, data(input), floats(taps), floats(shift), writable(y),
                      stream());
  }
  record(
      {y}, {x},
      [=](const std::vector<Tensor>& g) {
        const Tensor dy = g[0].contiguous();
        Tensor dx = at::empty_like(input), dz = at::empty_like(input);
        Tensor partial = at::empty(
            {shape.members, conv_parts(shape), shape.size + 1, shape.channels}, taps.options());
        conv_silu_backward(type_of(input), shape, data(input), floats(taps), floats(shift),
                           data(dy), writable(dz), writable(dx), floats(partial), stream());
        const Tensor sums = partial.sum(1);
        if (filter.gradient.defined())
          filter.gradient.add_(sums.narrow(1, 0, shape.size).transpose(1, 2), filter.A_weight);
        if (bias.gradient.defined()) bias.gradient.add_(sums.select(1, shape.size), bias.A_weight);
        return std::vector<Tensor>{dx};
      },
      true);
  return y;
}

Tensor small_map(const Tensor& x, const Tensor& weight) {
  const SmallMapShape shape{x.size(0), x.size(1) * x.size(2), x.size(3) / 4};
  Tensor input, map, y;
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    map = weight.detach().to(at::kFloat).contiguous();
    y = at::empty_like(input);
    small_map_forward(type_of(input), shape, data(input), floats(map), writable(y), stream());
  }
  record(
      {y}, {x, weight},
      [=, sizes = weight.sizes().vec(), type = weight.scalar_type()](const std::vector<Tensor>& g) {
        const Tensor dy = g[0].contiguous();
        Tensor dx = at::empty_like(input);
        Tensor partial =
            at::empty({shape.members, small_map_parts(shape), shape.blocks, 16}, map.options());
        small_map_backward(type_of(input), shape, data(input), floats(map), data(dy), writable(dx),
                           floats(partial), stream());
        return std::vector<Tensor>{dx, partial.sum(1).view(sizes).to(type)};
      });
  return y;
}

}  // namespace rung::cuda
#endif
