#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/device.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/recurrence_run.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Shared memory of the largest block, and what smaller parts of Ampere and later do not have.
constexpr int64_t recurrence_memory = 160 * 1024;

}  // namespace

bool lies_by_step(const Tensor& t) {
  const auto evenly = [&](int64_t dim, int64_t stride) {
    return t.size(dim) == 1 || t.stride(dim) == stride;
  };
  const int64_t step = t.stride(2);
  return evenly(4, 1) && evenly(3, t.size(4)) && step >= t.size(3) * t.size(4) && step % 8 == 0 &&
         evenly(1, t.size(2) * step) && evenly(0, t.size(1) * t.size(2) * step) &&
         reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

namespace {

Tensor by_step(const Tensor& t) {
  const Tensor plain = t.detach();
  return lies_by_step(plain) ? plain : plain.contiguous();
}

StepRows rows_of(const Tensor& t) {
  return {t.const_data_ptr(), t.stride(2)};
}

struct States {
  Tensor states, norms;
  RecurrenceStates places() const { return {writable(states), floats(norms)}; }
};

States room_for_states(const Recurrence& r) {
  const RecurrenceShape& s = r.shape;
  States room;
  room.states = at::empty({s.lines(), s.chunks(), s.wide_keys(), s.wide_values()}, r.v.options());
  if (s.normalised)
    room.norms = at::empty({s.lines(), s.chunks(), s.wide_keys()}, r.first.options());
  return room;
}

void find_gates(Recurrence& r) {
  const RecurrenceShape& s = r.shape;
  const auto options = r.first.options();
  r.from = at::empty({s.lines(), s.steps()}, options);
  r.to = at::empty({s.lines(), s.steps()}, options);
  r.ends = at::empty({s.lines(), s.chunks(), 2}, options);
  if (!s.normalised)
    return ssd_gates(s, floats(r.first), floats(r.second), r.gates(r.to), stream());
  r.floor = at::empty({s.lines(), s.steps()}, options);
  r.m = at::empty({s.members, s.batch, s.heads}, options);
  mlstm_gates(s, floats(r.first), floats(r.second), r.gates(r.to), floats(r.m), stream());
}

States run_states(const Recurrence& r, const Tensor& last) {
  States states = room_for_states(r);
  recurrence_states(r.shape, rows_of(r.k), rows_of(r.v), r.gates(r.to), states.places(),
                    floats(last), stream());
  return states;
}

// Whether states weigh no more than the values that they are made of; then they are kept for the
// gradient, which otherwise makes them anew.
bool states_are_light(const RecurrenceShape& s) {
  return s.wide_keys() * s.wide_values() <= recurrence_chunk * s.values;
}

}  // namespace

Outcome run_recurrence(Recurrence& r, bool kept, bool last_wanted) {
  const RecurrenceShape& s = r.shape;
  find_gates(r);
  Outcome out;
  out.y = at::empty({s.members, s.batch, s.time, s.heads, s.values}, r.v.options());
  if (last_wanted)
    out.last = at::empty({s.members, s.batch, s.heads, s.keys, s.values + (s.normalised ? 1 : 0)},
                         r.first.options());
  if (s.normalised && kept) r.to_gradient = at::empty_like(r.to);
  const States states = run_states(r, out.last);
  if (kept && states_are_light(s)) r.states = states.states, r.norms = states.norms;
  recurrence_outputs(s, rows_of(r.q), rows_of(r.k), rows_of(r.v), r.gates(r.to), states.places(),
                     floats(r.skip), floats(r.to_gradient), writable(out.y), stream());
  return out;
}

namespace {

// Where they are alone.
InputGradients room_for_gradients(const Recurrence& r) {
  const RecurrenceShape& s = r.shape;
  const auto options = r.first.options();
  const std::vector<int64_t> shares{s.members, s.batch, s.time, s.groups, s.splits(), s.keys};
  const std::vector<int64_t> by_head{s.members, s.batch, s.time, s.heads};
  const std::vector<int64_t> by_chunk{s.members, s.batch, s.chunks(), s.heads};
  return {at::empty(shares, r.q.options()),
          at::empty(shares, r.k.options()),
          at::empty({s.members, s.batch, s.time, s.heads, s.values}, r.v.options()),
          at::empty(by_head, options),
          at::empty(s.normalised ? by_head : by_chunk, options),
          r.skip.defined() ? at::empty(by_chunk, options) : Tensor()};
}

}  // namespace

void recurrence_gradient(const Recurrence& r, const Tensor& y, const Tensor& gradient,
                         const InputGradients& g, const Tensor& known_delta) {
  const RecurrenceShape& s = r.shape;
  const Tensor dy = gradient.contiguous();
  const auto options = r.first.options();
  Tensor delta = known_delta;
  if (s.normalised && !delta.defined()) {
    delta = at::empty({s.lines(), s.steps()}, options);
    recurrence_delta(s, floats(r.floor), data(y), data(dy), floats(delta), stream());
  }
  const States states = r.states.defined() ? States{r.states, r.norms} : run_states(r, Tensor());
  const States dstates = room_for_states(r);
  recurrence_state_gradients(s, rows_of(r.q), data(dy), r.gates_of_gradient(), floats(delta),
                             dstates.places(), stream());
  recurrence_gradients(
      s,
      {rows_of(r.q),   rows_of(r.k),    rows_of(r.v),     data(dy),         r.gates_of_gradient(),
       floats(delta),  states.places(), dstates.places(), floats(r.first),  floats(r.second),
       floats(r.skip), writable(g.q),   writable(g.k),    writable(g.v),    g.q.stride(2),
       g.k.stride(2),  g.v.stride(2),   floats(g.first),  floats(g.second), floats(g.skip)},
      stream());
}

namespace {

InputGradients recurrence_gradient(const Recurrence& r, const Tensor& y, const Tensor& gradient) {
  const RecurrenceShape& s = r.shape;
  InputGradients g = room_for_gradients(r);
  recurrence_gradient(r, y, gradient, g, Tensor());
  const auto joined = [&](const Tensor& t) { return s.splits() > 1 ? t.sum(4) : t.select(4, 0); };
  g.q = joined(g.q);
  g.k = joined(g.k);
  if (!s.normalised) g.second = g.second.sum({1, 2});
  if (r.skip.defined()) g.skip = g.skip.sum({1, 2});
  return g;
}

}  // namespace

bool fits_recurrence(const Tensor& v, const Tensor& k) {
  return v.size(2) > 1 && fits_recurrence(v.size(2), k.size(4), v.size(4)) &&
         block_memory() >= recurrence_memory;
}

RecurrenceShape recurrence_shape(const Tensor& v, const Tensor& k, bool normalised) {
  return {v.size(0), v.size(1), v.size(2), v.size(3), k.size(3), k.size(4), v.size(4), normalised};
}

bool fits_ssd(const SsdInput& in) {
  return is_half(in.x) && is_half(in.b) && is_half(in.c) && !in.state.defined() &&
         fits_recurrence(in.x, in.b);
}

std::pair<Tensor, Tensor> ssd(const SsdInput& in) {
  Recurrence r;
  Outcome out;
  const bool kept = recording();
  {
    at::NoGradGuard off;
    r.shape = recurrence_shape(in.x, in.b, false);
    r.q = by_step(in.c), r.k = by_step(in.b), r.v = by_step(in.x);
    r.first = in.dt.detach().contiguous();
    r.second = in.a.detach().contiguous();
    if (in.skip.defined()) r.skip = in.skip.detach().contiguous();
    out = run_recurrence(r, kept, true);
  }
  record({out.y}, {in.x, in.dt, in.a, in.b, in.c, in.skip}, [r](const std::vector<Tensor>& g) {
    const InputGradients d = recurrence_gradient(r, {}, g[0]);
    return std::vector<Tensor>{d.v, d.first, d.second, d.k, d.q, d.skip};
  });
  return {out.y, out.last.mT()};
}

bool fits_mlstm(const MlstmInput& in) {
  return is_half(in.q) && is_half(in.k) && is_half(in.v) && !in.memory.defined() &&
         fits_recurrence(in.v, in.k);
}

MlstmOutput mlstm(const MlstmInput& in) {
  Recurrence r;
  Outcome out;
  const bool kept = recording();
  {
    at::NoGradGuard off;
    r.shape = recurrence_shape(in.v, in.k, true);
    r.q = by_step(in.q), r.k = by_step(in.k), r.v = by_step(in.v);
    r.first = in.input.detach().contiguous();
    r.second = in.forget.detach().contiguous();
    out = run_recurrence(r, kept, true);
  }
  const Tensor m = r.m;
  record({out.y}, {in.q, in.k, in.v, in.input, in.forget},
         [r, y = out.y.detach()](const std::vector<Tensor>& g) {
           const InputGradients d = recurrence_gradient(r, y, g[0]);
           return std::vector<Tensor>{d.q, d.k, d.v, d.first, d.second};
         });
  return {out.y, out.last, m};
}

}  // namespace rung::cuda
#endif
