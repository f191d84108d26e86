#include "ops/quantise.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/frexp.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/dispatch.h"
#include "ops/rounding.h"
#ifdef RUNG_CUDA
#include "ops/cuda/kernels.h"
#include "ops/cuda/tensor.h"
#endif

namespace rung {

using at::Tensor;

namespace {

// 2^exponent from its bits: powers of libraries on GPUs need not be exact.
Tensor power(const Tensor& exponent, const Tensor& like) {
  return (exponent.to(at::kLong) + 1023)
      .bitwise_left_shift(52)
      .view(at::kDouble)
      .to(like.scalar_type());
}

// rounding_bits (ops/rounding.h) over 2^32, of every place of x [P, R, C].
Tensor uniform(const Tensor& x, uint64_t key) {
  const Tensor bits = x.to(at::kFloat).view(at::kInt).to(at::kLong).bitwise_and(0xffffffffll);
  Tensor h = at::arange(x.size(1) * x.size(2), bits.options()).view({1, x.size(1), x.size(2)});
  h = mix_plain(h.bitwise_left_shift(32).bitwise_or(bits).bitwise_xor(static_cast<int64_t>(key)));
  return h.bitwise_right_shift(32).bitwise_and(0xffffffffll).to(at::kDouble).mul_(0x1p-32);
}

}  // namespace

Tensor mix_plain(const Tensor& x) {
  const auto folded = [](const Tensor& a, int64_t by) {  // the shift of unsigned numbers
    return a.bitwise_xor(a.bitwise_right_shift(by).bitwise_and((int64_t{1} << (64 - by)) - 1));
  };
  const Tensor h = folded(x, 30).mul(static_cast<int64_t>(0xbf58476d1ce4e5b9ull));
  return folded(folded(h, 27).mul(static_cast<int64_t>(0x94d049bb133111ebull)), 31);
}

Tensor round_to_grid_plain(const Tensor& x, const Quantiser& q, const Tensor& draws) {
  const Tensor wide = x.to(at::kDouble).abs();
  const Tensor exponent = std::get<1>(at::frexp(wide)).sub(1).clamp_min(q.grid.lowest);
  const Tensor step = power(exponent - q.grid.mantissa_bits, wide);
  const Tensor y = wide / step;
  Tensor value = (draws.defined() ? at::floor(y + draws) : at::round(y)) * step;
  value = at::where(value < q.grid.smallest, at::Scalar(0.0), value);
  value = at::where(value > q.grid.largest, at::full_like(value, q.grid.beyond), value);
  return at::copysign(at::where(wide.isnan(), wide, value), x.to(at::kDouble)).to(x.scalar_type());
}

namespace {

Tensor round_plain(const Tensor& x, const Quantiser& q, uint64_t key) {
  return round_to_grid_plain(x, q, q.stochastic ? uniform(x, key) : Tensor());
}

// fp32 or fp64: what scales are computed in.
at::ScalarType scale_type(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace

Tensor scales_plain(const Tensor& groups, const Quantiser& q) {
  const Tensor largest = groups.abs().amax({-1}, true).to(scale_type(groups));
  Tensor scale;
  if (q.rule == ScaleRule::mx) {
    const Tensor own = std::get<1>(at::frexp(largest)).sub(1).clamp_min(-127);
    scale = power((std::ilogb(q.grid.largest) - own).clamp(-126, 126), largest);
  } else {
    scale = (at::full_like(largest, q.grid.largest) / largest).clamp_max(0x1p126);
    if (q.rule == ScaleRule::power) scale = power(std::get<1>(at::frexp(scale)).sub(1), largest);
  }
  return at::where(largest > 0.0, scale, at::ones_like(largest));
}

namespace {

// x [P, R, C] with what shares a scale in its last axis.
Tensor grouped_plain(const Tensor& x, const Quantiser& q) {
  if (q.over == ScaleOver::tensor) return x.reshape({x.size(0), 1, 1, -1});
  if (q.over == ScaleOver::channel) return x.unsqueeze(2);
  const int64_t blocks = (x.size(2) + q.block - 1) / q.block;
  return at::constant_pad_nd(x, {0, blocks * q.block - x.size(2)}, 0)
      .view({x.size(0), x.size(1), blocks, q.block});
}

}  // namespace

Tensor quantise_plain(const Tensor& x, const Quantiser& q, uint64_t key) {
  if (!q.on) return x;
  const at::NoGradGuard off;
  const Tensor own = x.to(scale_type(x));
  Tensor scale;
  if (q.over == ScaleOver::fixed) {
    scale = at::full_like(own, q.scale);
  } else {
    const Tensor groups = grouped_plain(own, q);
    scale = scales_plain(groups, q).expand_as(groups).reshape({x.size(0), x.size(1), -1});
    scale = scale.narrow(2, 0, x.size(2));
  }
  return (round_plain(own * scale, q, key) * (1.0 / scale)).to(x.scalar_type());
}

namespace {

Rounding rounding_of(const Quantiser& q, uint64_t key) {
  return {.mantissa_bits = q.grid.mantissa_bits,
          .lowest = q.grid.lowest,
          .largest = static_cast<float>(q.grid.largest),
          .smallest = static_cast<float>(q.grid.smallest),
          .beyond = static_cast<float>(q.grid.beyond),
          .stochastic = q.stochastic,
          .key = key,
          .rule = static_cast<int>(q.rule),
          .top = std::ilogb(q.grid.largest)};
}

Tensor quantise_cpu(const Tensor& x, const Quantiser& q, uint64_t key) {
  const Tensor from = x.contiguous();
  Tensor y = at::empty(x.sizes(), x.options().requires_grad(false));
  const int64_t members = x.size(0), width = x.size(2), size = x.size(1) * width;
  const bool rows = q.over == ScaleOver::channel || q.over == ScaleOver::block;
  const cpu::ScaleShape shape{
      .size = size,
      .width = rows ? width : size,
      .block = q.over == ScaleOver::block ? q.block
               : rows                     ? width
                                          : size,
      .fixed = q.over == ScaleOver::fixed ? static_cast<float>(q.scale) : 0.0f};
  for (int64_t p = 0; p < members; ++p)
    cpu::quantise(shape, rounding_of(q, key), from.const_data_ptr<float>() + p * size,
                  y.mutable_data_ptr<float>() + p * size);
  return y;
}

#ifdef RUNG_CUDA
Tensor quantise_cuda(const Tensor& x, const Quantiser& q, uint64_t key) {
  const Tensor from = x.contiguous();
  Tensor y = at::empty(x.sizes(), x.options().requires_grad(false)), scales;
  if (q.over != ScaleOver::fixed) scales = scales_plain(grouped_plain(from, q), q).contiguous();
  const int64_t width = x.size(2), size = x.size(1) * width;
  const bool rows = q.over == ScaleOver::channel || q.over == ScaleOver::block;
  const cuda::GroupShape shape{.members = x.size(0),
                               .size = size,
                               .width = rows ? width : size,
                               .block = q.over == ScaleOver::block ? q.block
                                        : rows                     ? width
                                                                   : size};
  cuda::quantise(cuda::type_of(x), shape, rounding_of(q, key), cuda::floats(scales),
                 static_cast<float>(q.scale), cuda::data(from), cuda::writable(y), cuda::stream());
  return y;
}
#endif

}  // namespace

Tensor quantise(const Tensor& x, const Quantiser& q, uint64_t key) {
  if (!q.on) return x;
  const at::NoGradGuard off;
#ifdef RUNG_CUDA
  if (fused_on_cuda(x)) return quantise_cuda(x, q, key);
#endif
  if (!fused_on_cpu(x)) return quantise_plain(x, q, key);
  return quantise_cpu(x, q, key);
}

}  // namespace rung
