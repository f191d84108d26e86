#include "ops/ssd.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/unbind.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "ops/chunks.h"
#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/span.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

namespace {

Tensor first_state(const SsdInput& in) {
  if (in.state.defined()) return in.state;
  return at::zeros({in.x.size(0), in.x.size(1), in.x.size(3), in.x.size(4), in.b.size(4)},
                   in.dt.options());
}

Tensor with_skip(const Tensor& y, const SsdInput& in) {
  if (!in.skip.defined()) return y;
  return y + in.x * in.skip.to(in.x.scalar_type()).unsqueeze(1).unsqueeze(1).unsqueeze(-1);
}

}  // namespace

// unbind, not select: its gradient is one stack, where every select's is as large as all steps.
std::pair<Tensor, Tensor> ssd_recurrent(const SsdInput& in) {
  const int64_t repeat = in.x.size(3) / in.b.size(3);
  Tensor h = first_state(in);
  const auto xs = at::unbind(in.x * in.dt.unsqueeze(-1), 2);
  const auto decays = at::unbind(at::exp(in.dt * in.a.unsqueeze(1).unsqueeze(1)), 2);  // [P, B, H]
  const auto bs = at::unbind(in.b.repeat_interleave(repeat, 3), 2);
  const auto cs = at::unbind(in.c.repeat_interleave(repeat, 3), 2);
  std::vector<Tensor> y;
  for (size_t t = 0; t < xs.size(); ++t) {
    h = decays[t].unsqueeze(-1).unsqueeze(-1) * h + xs[t].unsqueeze(-1) * bs[t].unsqueeze(-2);
    y.push_back(at::matmul(h, cs[t].unsqueeze(-1)).squeeze(-1));
  }
  return {with_skip(at::stack(y, 2), in), h};
}

// Within a chunk as attention with the decays as its mask; across chunks by the recurrence of
// their states. A padded step has dt = 0: it neither decays nor adds. Heads of a group share b and
// c, so that their states [N, R p] are one product; decays are summed, and states kept, in dt's
// type.
std::pair<Tensor, Tensor> ssd_chunked(const SsdInput& in, int64_t chunk) {
  const int64_t time = in.x.size(2), heads = in.x.size(3), groups = in.b.size(3);
  const at::ScalarType type = in.x.scalar_type(), exact = in.dt.scalar_type();
  chunk = std::min(chunk, time);
  const Tensor l = chunks_of(in.dt * in.a.unsqueeze(1).unsqueeze(1), groups, chunk);
  const Tensor sums = at::cumsum(l, -1);  // [P, B, chunks, G, R, L]
  const Tensor between = type == exact ? at::exp(log_decays(l)) : decays_in(type, sums, -sums);
  const Tensor until = at::exp(sums_after(l)).unsqueeze(-1);
  const Tensor x = chunks_of(in.x * in.dt.unsqueeze(-1), groups, chunk);  // [.., G, R, L, p]
  const auto shared = [&](const Tensor& t) { return chunks_of(t, groups, chunk).squeeze(4); };
  const Tensor b = shared(in.b), c = shared(in.c);  // [P, B, chunks, G, L, N]
  const auto side_by_side = [](const Tensor& t) {   // [.., R, L, p] -> [.., L, R p]
    return t.movedim(-3, -2).flatten(-2);
  };
  const Tensor scores = at::matmul(c, b.mT()).unsqueeze(4) * between;
  const Tensor inside = at::matmul(scores, x.to(type));
  const Tensor added = at::matmul(b.mT(), side_by_side((x * until).to(type))).to(exact);
  const int64_t repeat = heads / groups, size = in.x.size(4);
  const auto kept = at::unbind(at::exp(sums.select(-1, chunk - 1)), 2);   // [P, B, G, R]
  const auto parts = at::unbind(added.unflatten(-1, {repeat, size}), 2);  // [P, B, G, N, R, p]
  Tensor h = first_state(in).to(exact).unflatten(2, {groups, repeat}).movedim(-1, 3);
  std::vector<Tensor> states;
  for (size_t k = 0; k < parts.size(); ++k) {
    states.push_back(h);
    h = at::addcmul(parts[k], kept[k].unsqueeze(3).unsqueeze(-1), h);
  }
  const Tensor before = at::stack(states, 2).flatten(-2).to(type);  // [P, B, chunks, G, N, R p]
  const Tensor carried = at::matmul(c, before).unflatten(-1, {repeat, size});  // [.., L, R, p]
  const Tensor y =
      (carried * at::exp(sums).mT().unsqueeze(-1) + inside.movedim(-3, -2)).movedim(4, 3);
  return {
      with_skip(y.reshape({y.size(0), y.size(1), -1, heads, size}).narrow(2, 0, time).to(type), in),
      h.movedim(3, -1).flatten(2, 3)};
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
        ssd_chunked({t[0], wide(t[1]), wide(t[2]), t[3], t[4], t[5], t[6]}, chunk);
    return {y, last};
  };
  const auto out = recomputed({in.x, in.dt, in.a, in.b, in.c, in.state, in.skip}, run);
  return {out[0], out[1]};
}

}  // namespace

std::pair<Tensor, Tensor> ssd(const SsdInput& input, int64_t chunk) {
  const Span span("rung::recurrence");
  if (fused_on_cpu(input.x)) {
    const auto [y, last] = ssd_cpu(input);
    return {with_skip(y, input), last};
  }
  if constexpr (with_cuda)
    if (fused_on_cuda(input.x) && cuda::fits_ssd(input))
      return cuda::ssd({input.x,
                        wide(input.dt),
                        wide(input.a),
                        input.b,
                        input.c,
                        {},
                        input.skip.defined() ? wide(input.skip) : Tensor()});
  chunk = chosen_chunk(chunk, input.x.size(4), input.b.size(4));
  if (fused_on_cuda(input.x)) return ssd_cuda(input, chunk);
  return input.x.size(2) == 1 ? ssd_recurrent(input) : ssd_chunked(input, chunk);
}

}  // namespace rung
