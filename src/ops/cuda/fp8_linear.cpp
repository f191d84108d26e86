// The map's three products on FP8 units (Micikevicius et al. 2022, arXiv 2209.05433; static scales:
// Blake et al. 2024, arXiv 2407.17465): E4M3 x and W, E5M2 dy. The same roundings as
// ops/quantised_linear.h has; products add up in the units' own way.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>

#include "ops/cuda/device.h"
#include "ops/cuda/fp8.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_fp8(const Tensor& x, const Weight& weight) {
  // The units take rows of 16 bytes, along either axis.
  const int64_t rows = x.size(1) * x.size(2);
  return weight.formats && weight.formats->hardware && x.scalar_type() == at::kBFloat16 &&
         is_packed_map(weight) && x.size(3) % 16 == 0 && weight.value.size(1) % 16 == 0 &&
         rows % 16 == 0 && block_memory() >= hopper_block_memory;
}

Tensor fp8_linear(const Tensor& x, const Weight& weight) {
  const MapFormats& f = *weight.formats;
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3),
                out = weight.value.size(1);
  const double of_x = f.activation.scale, of_w = f.weight.scale, of_dy = f.gradient.scale;
  Fp8Codes input, map;
  Tensor y;
  const bool both = recording();  // the backward pass reads the others
  {
    const at::NoGradGuard off;
    input = fp8_cast(x.detach().contiguous().view({members, rows, in}), f.activation, false, both);
    map = fp8_codes_of(weight, both);
    y = fp8_product(input.rows, map.rows, weight.A / (of_x * of_w), true)
            .view({members, x.size(1), x.size(2), out});
  }
  const size_t use = open_tap(weight, x, y);
  record({y}, {x},
         [=, w = weight, sizes = x.sizes().vec(), needs_input = x.requires_grad(),
          read = input.columns, by = map.columns](const std::vector<Tensor>& g) {
           const Tensor dy = g[0].contiguous();
           const Fp8Codes upstream =
               fp8_cast(dy.view({members, rows, out}), w.formats->gradient, true);
           Tensor dx;
           if (needs_input)
             dx = fp8_product(upstream.rows, by, w.A_input / (of_dy * of_w), false).view(sizes);
           if (w.gradient.defined())
             fp8_add(w.gradient, upstream.columns, read, w.A_weight / (of_dy * of_x));
           close_tap(w, use, dy, dx);
           return std::vector<Tensor>{dx};
         });
  return y;
}

}  // namespace rung::cuda
#endif
