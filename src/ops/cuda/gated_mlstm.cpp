#ifdef RUNG_CUDA
#include "ops/gated_mlstm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/gated_norm.h"
#include "ops/cuda/recurrence_run.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// The slices of the input's maps, and of its gradient.
struct MapSlices {
  Tensor q, k, v, gate;
};

MapSlices slices_of(const Tensor& maps, const GatedMlstm& o) {
  const int64_t values = (maps.size(3) - 2 * o.heads * o.keys) / 2;
  int64_t at = 0;
  const auto next = [&](int64_t columns) {
    const Tensor part = maps.narrow(3, at, columns);
    at += columns;
    return part;
  };
  const auto by_head = [&](const Tensor& part) { return part.unflatten(3, {o.heads, -1}); };
  MapSlices s;
  s.q = by_head(next(o.heads * o.keys));
  s.k = by_head(next(o.heads * o.keys));
  s.v = by_head(next(values));
  s.gate = next(values);
  return s;
}

}  // namespace

bool fits_gated_mlstm(const Tensor& maps, const Tensor& gates, const GatedMlstm& o) {
  if (!is_half(maps) || gates.scalar_type() != at::kFloat || maps.size(3) % 8 != 0) return false;
  const MapSlices s = slices_of(maps, o);
  return fits_recurrence(s.v, s.k) && fits_gated_norm(s.gate, s.gate, o.heads) &&
         lies_by_step(s.q) && lies_by_step(s.k) && lies_by_step(s.v);
}

Tensor gated_mlstm(const Tensor& maps, const Tensor& gates, const GatedMlstm& o) {
  Recurrence r;
  Tensor h, gate, y;
  GatedNorm shape{};
  const bool kept = recording();
  {
    at::NoGradGuard off;
    const MapSlices s = slices_of(maps.detach(), o);
    r.shape = recurrence_shape(s.v, s.k, true);
    r.shape.gate_stride = 2 * o.heads;
    r.shape.factor = o.factor;
    r.q = s.q, r.k = s.k, r.v = s.v, gate = s.gate;
    const Tensor both = gates.detach().contiguous();
    r.first = both.narrow(3, 0, o.heads), r.second = both.narrow(3, o.heads, o.heads);
    h = run_recurrence(r, kept, false).y;
    shape = {h.size(0) * h.size(1) * h.size(2),  o.heads,       h.size(4), gate.stride(2),
             static_cast<float>(o.norm.epsilon), o.norm.center, false};
    y = at::empty(gate.sizes(), h.options());
    gated_norm_forward(Type::bf16, shape, data(h), data(gate), writable(y), stream());
  }
  record({y}, {maps, gates}, [=, sizes = maps.sizes().vec()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    const Tensor room = at::empty({sizes[0], sizes[1], sizes[2], sizes[3] + map_room}, h.options()),
                 dmaps = room.narrow(3, 0, sizes[3]),
                 dgates = at::empty({sizes[0], sizes[1], sizes[2], 2 * o.heads}, r.first.options());
    const MapSlices d = slices_of(dmaps, o);
    const Tensor dh = at::empty_like(h);
    GatedNorm own = shape;
    own.dgate_stride = room.stride(2);
    const int64_t steps = r.shape.steps(), time = r.shape.time;
    const Tensor delta = steps == time ? at::empty_like(r.floor) : at::zeros_like(r.floor);
    gated_norm_backward(Type::bf16, own, data(h), data(gate), data(dy), writable(dh),
                        writable(d.gate), {floats(r.floor), floats(delta), time, steps}, stream());
    recurrence_gradient(
        r, h, dh,
        {d.q, d.k, d.v, dgates.narrow(3, 0, o.heads), dgates.narrow(3, o.heads, o.heads), Tensor()},
        delta);
    return std::vector<Tensor>{dmaps, dgates};
  });
  return y;
}

}  // namespace rung::cuda
#endif
