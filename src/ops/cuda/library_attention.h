// Torch's own attention, flash or cuDNN, over packed rows that are rotated first.
#pragma once
#include <optional>
#include <tuple>

#include "ops/attention.h"
#include "ops/cuda/kernels.h"

namespace rung::cuda {

// What the backward pass of a library kernel needs besides q, k, v and the output.
struct LibraryAttention {
  at::Tensor packed;        // rotated queries and keys with values, [P, B, T, ..]
  at::Tensor q, k, v, out;  // views of it, and what they give, [N, T, heads, d]
  at::Tensor lse, seed, offset, cumulative_q, cumulative_k;
  bool cudnn = false;
  bool ordered = true;            // sums of gradients in a fixed order
  std::optional<int64_t> before;  // tokens that a window shows besides its own; none: all
  double logit = 1.0;
};

// As long as it lives, attention that its thread starts may add gradients in any order if
// `allowed`: cuDNN's backward pass, up to twice as fast as flash attention's in a fixed order, has
// atomics.
class AnyOrder {
 public:
  explicit AnyOrder(bool allowed);
  ~AnyOrder();
  AnyOrder(const AnyOrder&) = delete;
  AnyOrder& operator=(const AnyOrder&) = delete;

 private:
  bool before_;
};

RopeShape rope_shape_of(const at::Tensor& qkv, const AttentionOptions& options);
bool has_window(const RopeShape& shape, const AttentionOptions& options);
// Tables in fp32 whatever the compute type: an angle of 1,000 turns does not fit 8 bits.
Rope fp32_tables(const Rope& rope);

// qkv as attention has it, rotated (where it lies if it may be overwritten) and attended to.
LibraryAttention attend_by_library(const at::Tensor& qkv, const Rope& table, const RopeShape& shape,
                                   const AttentionOptions& options);
// Whether packed_gradient is to be had: heads of 64 without a window, on a Hopper device
// (wide_heads_backward.h), in a fixed order and no slower than the libraries in any.
bool gives_packed_gradient(const LibraryAttention& attention, const RopeShape& shape);
// The gradient of qkv [N, T, (heads + 2 kv_heads) d] from dout [N, T, heads, d], turned back and
// with the options' factors.
at::Tensor packed_gradient(const LibraryAttention& attention, const Rope& table,
                           const RopeShape& shape, const AttentionOptions& options,
                           const at::Tensor& dout);
// Gradients of the rotated q, k and v [N, T, heads, d], without gaps, from dout [N, T, heads, d].
std::tuple<at::Tensor, at::Tensor, at::Tensor> library_gradients(const LibraryAttention& attention,
                                                                 const at::Tensor& dout);

}  // namespace rung::cuda
