#include "ops/ssd.h"

#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "ops/chunks.h"
#include "ops/cpu/kernels.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

namespace {

Tensor first_state(const SsdInput& in) {
  if (in.state.defined()) return in.state;
  return at::zeros({in.x.size(0), in.x.size(1), in.x.size(3), in.x.size(4), in.b.size(4)},
                   in.x.options());
}

}  // namespace

std::pair<Tensor, Tensor> ssd_recurrent(const SsdInput& in) {
  const int64_t repeat = in.x.size(3) / in.b.size(3);
  Tensor h = first_state(in);
  std::vector<Tensor> y;
  for (int64_t t = 0; t < in.x.size(2); ++t) {
    const Tensor dt = in.dt.select(2, t);  // [P, B, H]
    const Tensor decay = at::exp(dt * in.a.unsqueeze(1)).unsqueeze(-1).unsqueeze(-1);
    const Tensor b = in.b.select(2, t).repeat_interleave(repeat, 2).unsqueeze(-2);
    const Tensor c = in.c.select(2, t).repeat_interleave(repeat, 2).unsqueeze(-1);
    h = decay * h + (dt.unsqueeze(-1) * in.x.select(2, t)).unsqueeze(-1) * b;
    y.push_back(at::matmul(h, c).squeeze(-1));
  }
  return {at::stack(y, 2), h};
}

// Within a chunk as attention with the decays as its mask; across chunks by the recurrence of
// their states. A padded step has dt = 0: it neither decays nor adds.
std::pair<Tensor, Tensor> ssd_chunked(const SsdInput& in, int64_t chunk) {
  const int64_t time = in.x.size(2), heads = in.x.size(3), groups = in.b.size(3);
  chunk = std::min(chunk, time);
  const Tensor log_decay = in.dt * in.a.unsqueeze(1).unsqueeze(1);
  const Tensor l = chunks_of(log_decay, groups, chunk);                   // [P, B, chunks, G, R, L]
  const Tensor x = chunks_of(in.x * in.dt.unsqueeze(-1), groups, chunk);  // [.., L, p]
  const Tensor b = chunks_of(in.b, groups, chunk), c = chunks_of(in.c, groups, chunk);
  const Tensor between = at::exp(log_decays(l)), since = at::exp(at::cumsum(l, -1)).unsqueeze(-1);
  const Tensor until = between.select(-2, chunk - 1).unsqueeze(-1);  // from each step to the end
  const Tensor inside = at::matmul(at::matmul(c, b.mT()) * between, x);
  const Tensor added = at::matmul((x * until).mT(), b);  // [P, B, chunks, G, R, p, N]
  const Tensor kept = since.select(-2, chunk - 1).unsqueeze(-1);
  Tensor h = first_state(in).view_as(added.select(2, 0));
  std::vector<Tensor> states;
  for (int64_t k = 0; k < added.size(2); ++k) {
    states.push_back(h);
    h = kept.select(2, k) * h + added.select(2, k);
  }
  const Tensor carried = at::matmul(c, at::stack(states, 2).mT()) * since;
  const Tensor y = (inside + carried).movedim(5, 3);  // [P, B, chunks, L, G, R, p]
  return {y.reshape({y.size(0), y.size(1), -1, heads, y.size(6)}).narrow(2, 0, time),
          h.reshape({h.size(0), h.size(1), heads, h.size(4), h.size(5)})};
}

namespace {

// Contiguous float inputs without their history.
SsdInput plain_floats(const SsdInput& in) {
  const auto plain = [](const Tensor& t) { return t.defined() ? t.detach().contiguous() : t; };
  return {plain(in.x), plain(in.dt), plain(in.a), plain(in.b), plain(in.c), plain(in.state)};
}

// What the kernel takes of sequence i.
cpu::SsdArrays arrays_of(const SsdInput& in, int64_t i) {
  const auto at = [i](const Tensor& t, int64_t row) -> const float* {
    return t.defined() ? t.const_data_ptr<float>() + row * (t.numel() / t.size(0) / t.size(1))
                       : nullptr;
  };
  const int64_t heads = in.a.size(1), member = i / in.x.size(1);
  return {at(in.x, i), at(in.dt, i), in.a.const_data_ptr<float>() + member * heads,
          at(in.b, i), at(in.c, i),  at(in.state, i)};
}

std::vector<Tensor> backward_cpu(const cpu::SsdShape& shape, const SsdInput& in, const Tensor& kept,
                                 const Tensor& dy, const Tensor& dlast) {
  const Tensor dx = at::empty_like(in.x), ddt = at::empty_like(in.dt), da = at::zeros_like(in.a),
               db = at::empty_like(in.b), dc = at::empty_like(in.c),
               dstate = in.state.defined() ? at::empty_like(in.state) : Tensor(),
               scratch = at::empty({cpu::ssd_scratch(shape)}, in.x.options());
  const SsdInput gradients{dx, ddt, da, db, dc, dstate};
  const auto writable = [](const float* p) { return const_cast<float*>(p); };
  const int64_t sequences = in.x.size(0) * in.x.size(1);
  const int64_t out = dy.numel() / sequences, state = shape.heads * shape.size * shape.state;
  for (int64_t i = 0; i < sequences; ++i) {
    const cpu::SsdArrays g = arrays_of(gradients, i);
    cpu::ssd_backward(shape, arrays_of(in, i), kept.const_data_ptr<float>() + i * kept.size(1),
                      dy.const_data_ptr<float>() + i * out,
                      dlast.defined() ? dlast.const_data_ptr<float>() + i * state : nullptr,
                      {writable(g.x), writable(g.dt), writable(g.a), writable(g.b), writable(g.c),
                       writable(g.first)},
                      scratch.mutable_data_ptr<float>());
  }
  return {dx, ddt, da, db, dc, dstate};
}

std::pair<Tensor, Tensor> ssd_cpu(const SsdInput& input) {
  const SsdInput in = plain_floats(input);
  const int64_t sequences = in.x.size(0) * in.x.size(1);
  const cpu::SsdShape shape{in.x.size(2), in.x.size(3), in.x.size(4), in.b.size(3), in.b.size(4)};
  Tensor y = at::empty_like(in.x);
  Tensor last =
      at::empty({in.x.size(0), in.x.size(1), shape.heads, shape.size, shape.state}, in.x.options());
  const Tensor scratch = at::empty({cpu::ssd_scratch(shape)}, in.x.options());
  Tensor kept;
  if (recording()) kept = at::empty({sequences, cpu::ssd_kept(shape)}, in.x.options());
  for (int64_t i = 0; i < sequences; ++i)
    cpu::ssd_forward(shape, arrays_of(in, i),
                     y.mutable_data_ptr<float>() + i * (y.numel() / sequences),
                     last.mutable_data_ptr<float>() + i * (last.numel() / sequences),
                     kept.defined() ? kept.mutable_data_ptr<float>() + i * kept.size(1) : nullptr,
                     scratch.mutable_data_ptr<float>());
  record({y, last}, {input.x, input.dt, input.a, input.b, input.c, input.state},
         [=](const std::vector<Tensor>& g) {
           const Tensor dy = g[0].defined() ? g[0].contiguous() : at::zeros_like(in.x);
           return backward_cpu(shape, in, kept, dy, g[1].defined() ? g[1].contiguous() : Tensor());
         });
  return {y, last};
}

}  // namespace

namespace {

// Of the chunks only the inputs are kept, as their decays are many times larger.
std::pair<Tensor, Tensor> ssd_cuda(const SsdInput& in, int64_t chunk) {
  const auto run = [=](const std::vector<Tensor>& t) -> std::vector<Tensor> {
    const auto [y, last] =
        ssd_chunked({wide(t[0]), wide(t[1]), wide(t[2]), wide(t[3]), wide(t[4]), t[5]}, chunk);
    return {y.to(t[0].scalar_type()), last};
  };
  const auto out = recomputed({in.x, in.dt, in.a, in.b, in.c, in.state}, run);
  return {out[0], out[1]};
}

}  // namespace

std::pair<Tensor, Tensor> ssd(const SsdInput& input, int64_t chunk) {
  if (fused_on_cpu(input.x)) return ssd_cpu(input);
  if (fused_on_cuda(input.x)) return ssd_cuda(input, chunk);
  return input.x.size(2) == 1 ? ssd_recurrent(input) : ssd_chunked(input, chunk);
}

}  // namespace rung
