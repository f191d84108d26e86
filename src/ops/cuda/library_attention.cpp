#ifdef RUNG_CUDA
#include "ops/cuda/library_attention.h"

#include <ATen/Context.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "ops/cuda/hopper/wide_heads_backward.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Flash attention sums its query gradients with atomics unless it is told not to.
struct Deterministic {
  at::Context& context = at::globalContext();
  bool algorithms = context.deterministicAlgorithms();
  bool warn = context.deterministicAlgorithmsWarnOnly();
  bool fill = context.deterministicFillUninitializedMemory();
  Deterministic() {
    context.setDeterministicFillUninitializedMemory(false);
    context.setDeterministicAlgorithms(true, false);
  }
  ~Deterministic() {
    context.setDeterministicAlgorithms(algorithms, warn);
    context.setDeterministicFillUninitializedMemory(fill);
  }
};

thread_local bool any_order = false;

void run_library(LibraryAttention& c) {
  const double scale = c.logit;
  const int64_t time = c.q.size(1);
  if (!c.cudnn) {
    std::tie(c.out, c.lse, c.seed, c.offset, std::ignore) = at::_flash_attention_forward(
        c.q, c.k, c.v, std::nullopt, std::nullopt, time, time, 0.0, true, false, scale, c.before,
        c.before ? std::optional<int64_t>(0) : std::nullopt);
    return;
  }
  const auto result = at::_scaled_dot_product_cudnn_attention(
      c.q.transpose(1, 2), c.k.transpose(1, 2), c.v.transpose(1, 2), std::nullopt, true, 0.0, true,
      false, scale);
  c.out = std::get<0>(result).transpose(1, 2).contiguous();
  c.lse = std::get<1>(result);
  c.cumulative_q = std::get<2>(result);
  c.cumulative_k = std::get<3>(result);
  c.seed = std::get<6>(result);
  c.offset = std::get<7>(result);
}

std::tuple<Tensor, Tensor, Tensor> run_library_backward(const LibraryAttention& c,
                                                        const Tensor& dout) {
  const double scale = c.logit;
  const int64_t time = c.q.size(1);
  if (c.ordered || !c.cudnn) {
    std::optional<Deterministic> guard;
    if (c.ordered) guard.emplace();
    // Both libraries keep the same logarithms of sums.
    const Tensor lse = c.lse.view({c.q.size(0), c.q.size(2), time}).contiguous();
    return at::_flash_attention_backward(dout, c.q, c.k, c.v, c.out, lse, Tensor(), Tensor(), time,
                                         time, 0.0, true, c.seed, c.offset, scale, c.before,
                                         c.before ? std::optional<int64_t>(0) : std::nullopt);
  }
  const auto swap = [](const Tensor& t) { return t.transpose(1, 2); };
  const auto [dq, dk, dv] = at::_scaled_dot_product_cudnn_attention_backward(
      swap(dout), swap(c.q), swap(c.k), swap(c.v), swap(c.out), c.lse, c.seed, c.offset, Tensor(),
      c.cumulative_q, c.cumulative_k, time, time, 0.0, true, scale);
  return {swap(dq), swap(dk), swap(dv)};
}

}  // namespace

AnyOrder::AnyOrder(bool allowed) : before_(any_order) {
  any_order = allowed;
}
AnyOrder::~AnyOrder() {
  any_order = before_;
}

RopeShape rope_shape_of(const Tensor& qkv, const AttentionOptions& o) {
  return {qkv.size(0) * qkv.size(1),
          qkv.size(2),
          o.heads,
          o.kv_heads,
          o.head_dim,
          o.key_offset ? fast_pairs(o.head_dim) : o.head_dim / 2};
}

bool has_window(const RopeShape& shape, const AttentionOptions& o) {
  return o.window > 0 && o.window < shape.time;
}

Rope fp32_tables(const Rope& rope) {
  if (!rope.cosine.defined()) return rope;
  return {rope.cosine.to(at::kFloat), rope.sine.to(at::kFloat)};
}

LibraryAttention attend_by_library(const Tensor& qkv, const Rope& table, const RopeShape& shape,
                                   const AttentionOptions& o) {
  LibraryAttention c{.ordered = !any_order, .logit = o.logit};
  if (has_window(shape, o)) c.before = o.window - 1;
  c.cudnn = !c.before && at::globalContext().userEnabledCuDNNSDP() && o.head_dim >= 64 &&
            o.heads == o.kv_heads;
  const bool in_place = o.overwrite && o.forward == 1.0 && !o.key_offset;
  c.packed = in_place ? qkv : at::empty_like(qkv);
  const float *cosine = floats_in(table.cosine), *sine = floats_in(table.sine);
  if (!in_place)
    rope_forward(type_of(qkv), shape, data(qkv), cosine, sine, static_cast<float>(o.forward),
                 writable(c.packed), stream());
  else if (cosine)
    rope_in_place(type_of(qkv), shape, writable(c.packed), cosine, sine, stream());
  const Tensor rows =
      c.packed.view({shape.sequences, shape.time, o.heads + 2 * o.kv_heads, o.head_dim});
  c.q = rows.narrow(2, 0, o.heads);
  c.k = rows.narrow(2, o.heads, o.kv_heads);
  c.v = rows.narrow(2, o.heads + o.kv_heads, o.kv_heads);
  run_library(c);
  c.out = c.out.contiguous();
  return c;
}

std::tuple<Tensor, Tensor, Tensor> library_gradients(const LibraryAttention& c,
                                                     const Tensor& dout) {
  const auto [dq, dk, dv] = run_library_backward(c, dout);
  return {dq.contiguous(), dk.contiguous(), dv.contiguous()};
}

bool gives_packed_gradient(const LibraryAttention& c, const RopeShape& shape) {
  return !c.before && c.packed.scalar_type() == at::kBFloat16 && takes_wide_heads_backward(shape);
}

Tensor packed_gradient(const LibraryAttention& c, const Rope& table, const RopeShape& shape,
                       const AttentionOptions& o, const Tensor& dout) {
  const Tensor lse = c.lse.contiguous();
  const Tensor scratch = at::empty({wide_heads_scratch(shape)}, lse.options());
  const Tensor counters = at::zeros({wide_counters}, lse.options().dtype(at::kInt));
  Tensor dqkv = at::empty_like(c.packed);
  // The libraries' logarithms are natural; values have the output's factor already.
  const WideHeadsBackward of{.qkv = data(c.packed),
                             .out = data(c.out),
                             .dout = data(dout),
                             .lse = floats_in(lse),
                             .lse_to_base_2 = 1.44269504f,
                             .value = 1.0f,
                             .qk = static_cast<float>(o.backward / o.forward),
                             .gradient = static_cast<float>(o.backward),
                             .dqkv = writable(dqkv),
                             .scratch = floats(scratch),
                             .counters = counters.mutable_data_ptr<int>()};
  const WideHeads heads{shape, static_cast<float>(o.logit), floats_in(table.cosine),
                        floats_in(table.sine)};
  wide_heads_backward(heads, of, stream());
  return dqkv;
}

}  // namespace rung::cuda
#endif
