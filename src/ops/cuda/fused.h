// The fused CUDA twins at tensor level: same signatures and recorded gradients as the ops in
// src/ops, for tensors that fused_on_cuda accepts. Built with RUNG_CUDA only.
#pragma once
#include <span>
#include <utility>
#include <vector>

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/gate_map.h"
#include "ops/gated_mlstm.h"
#include "ops/gated_norm.h"
#include "ops/grouped.h"
#include "ops/mlp.h"
#include "ops/mlstm.h"
#include "ops/norm.h"
#include "ops/shaped_sum.h"
#include "ops/slstm.h"
#include "ops/ssd.h"
#include "ops/weight.h"

namespace rung::cuda {

// Widths that the norm kernels take.
bool fits_norm(const at::Tensor& x, const Weight& gain);
// f undefined: h is x. The gradient that comes to h is multiplied by `dh_factor` first.
std::pair<at::Tensor, at::Tensor> add_norm(const at::Tensor& x, const at::Tensor& f,
                                           const Weight& gain, const NormOptions& options,
                                           double dh_factor = 1.0);

// Without gain.
bool fits_gated_norm(const at::Tensor& x, const at::Tensor& gate, int64_t groups);
at::Tensor gated_norm(const at::Tensor& x, const at::Tensor& gate, int64_t groups,
                      const NormOptions& options, GatePlace place);

bool fits_activation(Activation kind, const at::Tensor& x);
at::Tensor activation(Activation kind, const at::Tensor& x, const ActivationOptions& options);

// bf16 heads of a multiple of 8 up to 256: torch's flash or cuDNN kernels between our rotations.
bool fits_attention(const at::Tensor& qkv, const AttentionOptions& options);
at::Tensor attention(const at::Tensor& qkv, const Rope& rope, const AttentionOptions& options);

// From a fresh start: no inputs before the first.
bool fits_conv(const at::Tensor& x, const Weight& filter);
at::Tensor conv_silu(const at::Tensor& x, const Weight& filter, const Weight& bias);

// Static FP8 (fp8_linear.cpp) on Hopper: sizes and rows that are multiples of 16.
bool fits_fp8(const at::Tensor& x, const Weight& weight);
at::Tensor fp8_linear(const at::Tensor& x, const Weight& weight);
// Both matrices there and nobody listening: the hidden units are cast on the way out of the
// activation, with the bits that three ops one after the other give.
bool fits_fp8_mlp(const at::Tensor& x, const Mlp& m);
at::Tensor fp8_mlp(const at::Tensor& x, const Mlp& m);
// The map to q, k and v there and torch's attention behind it, likewise.
bool fits_fp8_attention(const at::Tensor& x, const Weight& weight, const AttentionOptions& options);
at::Tensor fp8_attention(const at::Tensor& x, const Weight& weight, const Rope& rope,
                         const AttentionOptions& options);

// Both with the stream around them, its norm (without gain) and additions included: x and f
// [P, B, T, D], of which f may be undefined; of the attention {x, values for its last map}.
bool fits_fp8_map(const at::Tensor& f, const Weight& map);
bool fits_fp8_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                   const ResidualStep& step);
at::Tensor fp8_mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                        const ResidualStep& step);
bool fits_fp8_stream_attention(const at::Tensor& x, const Weight& weight,
                               const AttentionOptions& options, const NormOptions& norm);
std::pair<at::Tensor, at::Tensor> fp8_stream_attention(const at::Tensor& x, const NormOptions& norm,
                                                       const Weight& weight, const Rope& rope,
                                                       const AttentionOptions& options);

// Blocks of 4 x 4, weight [P, blocks * 4, 4].
at::Tensor small_map(const at::Tensor& x, const at::Tensor& weight);

// From a fresh state; the state that it returns has no gradient.
bool fits_slstm(const at::Tensor& x);
std::pair<at::Tensor, SlstmState> slstm(const at::Tensor& x, const at::Tensor& recurrent);

// f in fp32 beside c.
bool fits_gated_scan(const at::Tensor& f, const at::Tensor& c);
at::Tensor gated_scan(const at::Tensor& f, const at::Tensor& c, const at::Tensor& first);

// Heads of an even size.
bool fits_shaped_sum(const at::Tensor& v, const at::Tensor& mixed, const ShapedGains& gains);
at::Tensor shaped_sum(const at::Tensor& v, const at::Tensor& mixed, const ShapedGains& gains);

// bf16 from a fresh state, more than one step, states of up to 128 x 128 (recurrence.h); the state
// that they return has no gradient. Gates and decays are fp32.
bool fits_ssd(const SsdInput& in);
std::pair<at::Tensor, at::Tensor> ssd(const SsdInput& in);
bool fits_mlstm(const MlstmInput& in);
MlstmOutput mlstm(const MlstmInput& in);
// Without gain.
bool fits_gated_mlstm(const at::Tensor& maps, const at::Tensor& gates, const GatedMlstm& options);
at::Tensor gated_mlstm(const at::Tensor& maps, const at::Tensor& gates, const GatedMlstm& options);

// x and weights in bf16, up to 16 gates (gate_map.h).
bool fits_gate_map(const at::Tensor& x, const Weight& weight, const GateMap& gates);
std::pair<at::Tensor, at::Tensor> linear_and_gates(const at::Tensor& x, const Weight& weight,
                                                   const GateMap& gates);

// fp32; positions must not rise along the last axis.
at::Tensor interpolated(const at::Tensor& table, const at::Tensor& positions);

// Matrices alike in their factors that lie evenly in the arena.
bool fits_grouped(const at::Tensor& x, std::span<const Weight> weights);
at::Tensor grouped_linear(const at::Tensor& x, std::span<const Weight> weights,
                          const Groups& groups);

// Sorted rows y [P, rows k, D] back at their own places, inverse [P, rows k] (group_rows.h);
// weights [P, rows, k] in fp32 may be undefined: ones.
bool fits_group_rows(const at::Tensor& y);
at::Tensor gathered_groups(const at::Tensor& y, const at::Tensor& inverse,
                           const at::Tensor& weights, int64_t k);
// Gradients of y and of the weights from that of the sums.
std::pair<at::Tensor, at::Tensor> spread_groups(const at::Tensor& y, const at::Tensor& inverse,
                                                const at::Tensor& weights, const at::Tensor& dx);

bool fits_picks(const at::Tensor& x, const Weight& table);
at::Tensor picked_dots(const at::Tensor& x, const Weight& table, const at::Tensor& index);
at::Tensor picked_sum(const at::Tensor& w, const Weight& table, const at::Tensor& index);

// x.gather(-1, index) in fp32, whose gradient sums equal indices in order.
at::Tensor gathered(const at::Tensor& x, const at::Tensor& index);

// bf16, narrow (mlp.h and norm_linear.h), no taps.
bool fits_mlp(const at::Tensor& x, const Mlp& m);
at::Tensor mlp(const at::Tensor& x, const Mlp& m);
at::Tensor mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                    const ResidualStep& step);
// Whether both steps take a square map of f along.
bool fits_map(const at::Tensor& x, const Weight& map);
// At width 128 (sliced_mlp.h), the step alone.
bool fits_sliced_mlp(const at::Tensor& x, const Mlp& m);
Stepped sliced_mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                        const ResidualStep& step);

// At width 256, where rows are many (streamed_mlp.h).
bool fits_streamed_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                        const ResidualStep& step);
Stepped streamed_mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                          const ResidualStep& step);

bool fits_norm_linear(const at::Tensor& x, const Weight& weight);
std::pair<at::Tensor, at::Tensor> norm_linear(const at::Tensor& x, const Weight& weight,
                                              const NormOptions& options);

bool fits_embedding(const Weight& table);
at::Tensor embedding(const at::Tensor& tokens, const Weight& table);

// Rows of bf16 and losses without logits in memory (linear_loss.h): up to 128 columns, on Hopper.
bool without_logits(int64_t width);
bool fits_linear_cross_entropy(const at::Tensor& x, const Weight& weight,
                               const LossOptions& options);
// x [P, rows, D] and targets [P, rows] -> losses [P, rows] and, when wanted, the gradient of x; the
// weight's is added to its place.
std::pair<at::Tensor, at::Tensor> linear_cross_entropy(const at::Tensor& x, const Weight& weight,
                                                       const at::Tensor& targets,
                                                       const LossOptions& options, bool wanted);

// The same at width 256 (streamed_loss.h), where logits' exponentials are written and read once.
bool fits_streamed_cross_entropy(const at::Tensor& x, const Weight& weight,
                                 const LossOptions& options);
std::pair<at::Tensor, at::Tensor> streamed_cross_entropy(const at::Tensor& x, const Weight& weight,
                                                         const at::Tensor& targets,
                                                         const LossOptions& options, bool wanted);

// The same of wide models (powers_loss.h), whose exponentials are written in place of logits.
bool fits_powers_cross_entropy(const at::Tensor& x, const Weight& weight,
                               const LossOptions& options);
std::pair<at::Tensor, at::Tensor> powers_cross_entropy(const at::Tensor& x, const Weight& weight,
                                                       const at::Tensor& targets,
                                                       const LossOptions& options, bool wanted);

// One chunk's logits [P, rows, V] -> losses [P, rows] (a view is fine); logits become gradients
// when wanted.
void chunk_loss(const at::Tensor& logits, const at::Tensor& targets, double gradient, bool wanted,
                const at::Tensor& losses);

}  // namespace rung::cuda
