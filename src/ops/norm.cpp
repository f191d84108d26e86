#include "ops/norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rsqrt.h>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

Tensor scale_gradient(const Tensor& x, double factor) {
  if (factor == 1.0) return x;
  Tensor y = x.detach();
  record({y}, {x}, [factor](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{g[0].defined() ? g[0] * factor : Tensor()};
  });
  return y;
}

Tensor norm_plain(const Tensor& x, const Weight& gain, const NormOptions& options) {
  const Tensor input = scale_gradient(x, options.input_gradient);
  const Tensor centred = options.center ? input - input.mean({-1}, true) : input;
  const Tensor scale = (centred * centred).mean({-1}, true).add(options.epsilon).rsqrt();
  Tensor y = centred * scale;
  if (gain.value.defined()) y = y * leaf(gain).view({x.size(0), 1, 1, x.size(3)});
  return y;
}

Tensor add_branch(const Tensor& x, const Tensor& f, const NormOptions& options) {
  const Tensor branch = scale_gradient(f, options.branch_gradient / options.branch);
  return x * options.skip + branch * options.branch;
}

std::pair<Tensor, Tensor> add_norm_plain(const Tensor& x, const Tensor& f, const Weight& gain,
                                         const NormOptions& options) {
  if (!f.defined()) return {x, norm_plain(x, gain, options)};
  const Tensor h = add_branch(x, f, options);
  return {h, norm_plain(h, gain, options)};
}

namespace {

struct Saved {
  Tensor h, mean, rstd;
};

const float* floats(const Tensor& t) {
  return t.defined() ? t.const_data_ptr<float>() : nullptr;
}

// Forward over all members; f undefined: h = x.
Saved forward_cpu(const Tensor& x, const Tensor& f, const Weight& gain, const NormOptions& o,
                  Tensor& y) {
  const int64_t members = x.size(0), width = x.size(3), rows = x.size(1) * x.size(2);
  Saved saved{f.defined() ? at::empty_like(x) : x, at::empty({members, rows}, x.options()),
              at::empty({members, rows}, x.options())};
  const cpu::NormShape shape{rows, width, static_cast<float>(o.epsilon), o.center};
  for (int64_t p = 0; p < members; ++p) {
    const int64_t at = p * rows * width;
    cpu::add_norm_forward(shape, floats(x) + at, f.defined() ? floats(f) + at : nullptr,
                          static_cast<float>(o.skip), static_cast<float>(o.branch),
                          gain.value.defined() ? floats(gain.value.select(0, p)) : nullptr,
                          f.defined() ? saved.h.mutable_data_ptr<float>() + at : nullptr,
                          y.mutable_data_ptr<float>() + at,
                          saved.mean.mutable_data_ptr<float>() + p * rows,
                          saved.rstd.mutable_data_ptr<float>() + p * rows);
  }
  return saved;
}

Tensor backward_cpu(const Saved& saved, const Weight& gain, const NormOptions& o, const Tensor& dy,
                    const Tensor& dh) {
  const int64_t members = dy.size(0), width = dy.size(3), rows = dy.size(1) * dy.size(2);
  Tensor dx = at::empty_like(dy);
  const cpu::NormShape shape{rows, width, static_cast<float>(o.epsilon), o.center};
  for (int64_t p = 0; p < members; ++p) {
    const int64_t at = p * rows * width;
    cpu::norm_backward(
        shape, floats(saved.h) + at, floats(saved.mean) + p * rows, floats(saved.rstd) + p * rows,
        gain.value.defined() ? floats(gain.value.select(0, p)) : nullptr, floats(dy) + at,
        dh.defined() ? floats(dh) + at : nullptr, static_cast<float>(o.input_gradient),
        dx.mutable_data_ptr<float>() + at,
        gain.gradient.defined() ? gain.gradient.select(0, p).mutable_data_ptr<float>() : nullptr);
  }
  return dx;
}

}  // namespace

Tensor norm(const Tensor& x, const Weight& gain, const NormOptions& options) {
  const Span span("rung::norm");
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_norm(x, gain))
      return cuda::add_norm(x, Tensor(), gain, options).second;
  if (!fused_on_cpu(x)) return norm_plain(x, gain, options);
  Tensor y;
  Saved saved;
  {
    at::NoGradGuard off;
    const Tensor input = x.detach().contiguous();
    y = at::empty_like(input);
    saved = forward_cpu(input, Tensor(), gain, options, y);
  }
  record({y}, {x}, [=](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{backward_cpu(saved, gain, options, g[0].contiguous(), Tensor())};
  });
  return y;
}

Tensor group_norm(const Tensor& x, int64_t groups, const Weight& gain, const NormOptions& options) {
  const auto sizes = x.sizes().vec();
  const Tensor parts = x.reshape({sizes[0], sizes[1], sizes[2] * groups, sizes[3] / groups});
  const Tensor y = norm(parts, {}, options).view(sizes);
  return gain.value.defined() ? y * multiplied(gain).view({sizes[0], 1, 1, sizes[3]}) : y;
}

std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& f, const Weight& gain,
                                   const NormOptions& options) {
  const Span span("rung::norm");
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_norm(x, gain)) return cuda::add_norm(x, f, gain, options);
  if (!f.defined()) return {x, norm(x, gain, options)};
  if (!fused_on_cpu(x)) return add_norm_plain(x, f, gain, options);
  Tensor y, h;
  Saved saved;
  {
    at::NoGradGuard off;
    const Tensor input = x.detach().contiguous();
    y = at::empty_like(input);
    saved = forward_cpu(input, f.detach().contiguous(), gain, options, y);
    h = saved.h;
  }
  saved.h = h.detach();
  record({h, y}, {x, f}, [=](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
    const Tensor total =
        g[1].defined() ? backward_cpu(saved, gain, options, g[1].contiguous(), dh) : dh;
    return std::vector<Tensor>{
        options.skip == 1.0 ? total : total * options.skip,
        options.branch_gradient == 1.0 ? total : total * options.branch_gradient};
  });
  return {h, y};
}

}  // namespace rung
