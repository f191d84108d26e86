// The map's three products on FP8 units (Micikevicius et al. 2022, arXiv 2209.05433; static scales:
// Blake et al. 2024, arXiv 2407.17465): E4M3 x and W, E5M2 dy. The same roundings as
// ops/quantised_linear.h has; products add up in the units' own way.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "ops/cuda/device.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Codes of a factor [P, R, C], as it lies and [P, C, R].
struct Codes {
  Tensor rows, columns;
};

// x [P, R, C], each member's matrix without gaps.
Codes cast(const Tensor& x, const Quantiser& q, bool e5m2) {
  const auto options =
      x.options().dtype(e5m2 ? at::kFloat8_e5m2 : at::kFloat8_e4m3fn).requires_grad(false);
  const Fp8Shape shape{.members = x.size(0),
                       .rows = x.size(1),
                       .columns = x.size(2),
                       .stride = x.stride(0),
                       .e5m2 = e5m2,
                       .scale = static_cast<float>(q.scale)};
  Codes codes{at::empty({shape.members, shape.rows, shape.columns}, options),
              at::empty({shape.members, shape.columns, shape.rows}, options)};
  cast_fp8(type_of(x), shape, data(x), writable(codes.rows), writable(codes.columns), stream());
  return codes;
}

// factor a b^T of each member, a [P, M, K], b [P, N, K], in the type of `like`.
Tensor product(const Tensor& a, const Tensor& b, double factor, at::ScalarType type,
               bool fast_sums) {
  const auto floats = a.options().dtype(at::kFloat);
  const Tensor scale = at::full({}, factor, floats), one = at::full({}, 1.0, floats);
  Tensor y = at::empty({a.size(0), a.size(1), b.size(1)}, a.options().dtype(type));
  for (int64_t p = 0; p < a.size(0); ++p) {
    Tensor out = y.select(0, p);
    at::_scaled_mm_out(out, a.select(0, p), b.select(0, p).t(), scale, one, {}, {}, type,
                       fast_sums);
  }
  return y;
}

}  // namespace

bool fits_fp8(const Tensor& x, const Weight& weight) {
  // The units take rows of 16 bytes, along either axis.
  const int64_t rows = x.size(1) * x.size(2);
  return weight.formats && weight.formats->hardware && x.scalar_type() == at::kBFloat16 &&
         is_packed_half(weight) && x.size(3) % 16 == 0 && weight.value.size(1) % 16 == 0 &&
         rows % 16 == 0 && block_memory() >= hopper_block_memory;
}

Tensor fp8_linear(const Tensor& x, const Weight& weight) {
  const MapFormats& f = *weight.formats;
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3),
                out = weight.value.size(1);
  const double of_x = f.activation.scale, of_w = f.weight.scale, of_dy = f.gradient.scale;
  Codes input, map;
  Tensor y;
  {
    const at::NoGradGuard off;
    input = cast(x.detach().contiguous().view({members, rows, in}), f.activation, false);
    map = cast(weight.value.detach(), f.weight, false);
    y = product(input.rows, map.rows, weight.A / (of_x * of_w), at::kBFloat16, true)
            .view({members, x.size(1), x.size(2), out});
  }
  const size_t use = open_tap(weight, x, y);
  record({y}, {x},
         [=, w = weight, sizes = x.sizes().vec(), needs_input = x.requires_grad(),
          read = input.columns, by = map.columns](const std::vector<Tensor>& g) {
           const Tensor dy = g[0].contiguous();
           const Codes upstream = cast(dy.view({members, rows, out}), w.formats->gradient, true);
           Tensor dx;
           if (needs_input)
             dx = product(upstream.rows, by, w.A_input / (of_dy * of_w), at::kBFloat16, false)
                      .view(sizes);
           if (w.gradient.defined()) {
             Tensor gradient = w.gradient;
             gradient.add_(
                 product(upstream.columns, read, w.A_weight / (of_dy * of_x), at::kFloat, false));
           }
           close_tap(w, use, dy, dx);
           return std::vector<Tensor>{dx};
         });
  return y;
}

}  // namespace rung::cuda
#endif
