// Counted as src/model/blocks.cpp runs: what each op keeps for its backward pass, and what lives
// besides while it is at work. D: width, Q: units of queries, keys and values, O: of the
// attention's output, F: of the ffn; all a token.
#include "model/block_memory.h"

#include <algorithm>
#include <cmath>

#include "config/pattern.h"
#include "model/ffns/ffns.h"
#include "ops/cpu/kernels.h"
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/wide_heads.h"
#include "ops/cuda/norm_linear.h"
#include "ops/cuda/small_attention.h"

namespace rung {
namespace {

struct Sizes {
  double element, D, Q, O, F, heads, time;
  cuda::RopeShape rope;  // of all members
  bool windowed, gated;
  bool in_place;  // the library's attention rotates what the map wrote
  bool packed;    // and its gradient comes as one (ops/cuda/hopper/wide_heads_backward.h)
  bool fp8;       // maps multiply on FP8 units, by the ops that make codes on the way
};

bool in_fp8(const TensorSpec& spec) {
  return spec.formats && spec.formats->hardware;
}

// Whether every map of blocks goes through the fused ops of ops/cuda/fp8_attention.cpp and
// fp8_mlp.cpp.
bool is_fused_fp8(const Decoder& d, const PassKind& kind) {
  const ModelConfig& m = d.model;
  const int64_t dim = head_dim_of(m), rows = kind.sequences * m.context;
  return kind.half && dim % 32 == 0 && dim <= 256 && m.width % 16 == 0 &&
         ffn_width_of(m) % 16 == 0 && rows % 16 == 0 && !m.key_offset &&
         std::all_of(d.layout.tensors.begin(), d.layout.tensors.end(), [](const TensorSpec& spec) {
           return spec.role != Role::hidden || in_fp8(spec);
         });
}

Sizes sizes_of(const Decoder& d, const PassKind& kind, size_t layer) {
  const ModelConfig& m = d.model;
  const bool windowed = d.windows[layer] && d.windows[layer] < m.context;
  const auto of = [](int64_t n) { return static_cast<double>(n); };
  return {
      .element = kind.half ? 2.0 : 4.0,
      .D = of(m.width),
      .Q = of((heads_of(m) + 2 * kv_heads_of(m)) * head_dim_of(m)),
      .O = of(heads_of(m) * head_dim_of(m)),
      .F = of(ffn_width_of(m)),
      .heads = of(heads_of(m)),
      .time = of(m.context),
      .rope = {.sequences = kind.members * kind.sequences,
               .time = m.context,
               .heads = heads_of(m),
               .kv_heads = kv_heads_of(m),
               .head_dim = head_dim_of(m),
               .fast = m.key_offset ? fast_pairs(head_dim_of(m)) : head_dim_of(m) / 2},
      .windowed = windowed,
      .gated = d.ffns[layer]->describe == describe_gated,
      .in_place =
          !m.key_offset && (d.block.attention_output.forward == 1.0 || is_fused_fp8(d, kind)),
      .packed = head_dim_of(m) == 64 && heads_of(m) == kv_heads_of(m) && !m.key_offset && !windowed,
      .fp8 = is_fused_fp8(d, kind)};
}

// What attention on the CPU works in, which its backward pass needs once more.
double attention_work(const Decoder& d) {
  const ModelConfig& m = d.model;
  return 4.0 * static_cast<double>(cpu::attention_scratch({.time = m.context,
                                                           .heads = heads_of(m),
                                                           .kv_heads = kv_heads_of(m),
                                                           .head_dim = head_dim_of(m)}));
}

// Whether kernels of our own attend on a GPU (taken for a Hopper), which rotate as they read;
// behind a map in FP8 those over more positions do not.
bool is_own(const Sizes& s, const PassKind& kind) {
  if (!kind.half || s.windowed) return false;
  if (cuda::fits_small_attention(s.rope, cuda::hopper_block_memory)) return true;
  return (!s.fp8 || s.rope.time <= cuda::few_positions) &&
         cuda::takes_wide_heads_on_hopper(s.rope, hopper_processors);
}

// Attention op by op, as fp32 has it on a GPU (attention_plain): q, k and v as the products read
// them and one matrix of weights are kept. At the softmax there are logits and masked logits beside
// it; in the backward pass the gradients at either side of it and LibTorch's product of the upper
// one with the weights.
BranchBytes plain_attention_bytes(const Sizes& s) {
  const double e = s.element, scores = e * s.heads * s.time;
  BranchBytes b;
  b.kept = e * (2.0 * s.D + 3.0 * s.O + s.O) + norm_statistics + scores;
  b.forward = e * (s.Q + 2.0 * s.O) + 2.0 * scores;
  b.backward = e * (s.D + s.O) + std::max(3.0 * scores, e * (3.0 * s.Q + s.O));
  b.unrecorded = e * (2.0 * s.D + s.Q + 3.0 * s.O) + 3.0 * scores;
  return b;
}

// How many sums of a query's gradient the library has side by side: in a fixed order as many as
// give every multiprocessor (of a Hopper's 132) some, so few heads have more.
double sums_of(const Sizes& s, const PassKind& kind) {
  constexpr double processors = hopper_processors;
  return kind.ordered ? std::ceil(processors /
                                  (static_cast<double>(kind.members * kind.sequences) * s.heads))
                      : 1.0;
}

// Norm, map to q, k, v, attention, map back.
BranchBytes attention_bytes(const Sizes& s, const PassKind& kind, bool narrow) {
  const double e = s.element;
  BranchBytes b;
  // The stream, its norm, q, k and v (rotated), the output and its log-sums.
  b.kept = e * (2.0 * s.D + s.Q + s.O) + norm_statistics + 4.0 * s.heads;
  if (narrow) b.kept -= e * s.D + norm_statistics;  // no norm is written
  const bool library = kind.cuda && !is_own(s, kind);
  const bool copied = library && !s.in_place;
  // A logarithm and a sum of each query, or the library's sums in fp32 and its gradients.
  const double numbers = 8.0 * s.heads * std::ceil(s.time / 64.0) * 64.0 / s.time;
  const double sums = s.packed ? numbers : 4.0 * s.O * sums_of(s, kind);
  if (s.fp8) {
    // Of what the maps read, codes by columns are kept in place of the norm; those by rows and the
    // norm live until the map is done.
    b.kept += s.D + s.O - e * s.D;
    b.forward = std::max(copied ? e * (s.D + s.Q) + s.D - 3.0 * s.O : 0.0, 2.0 * e * s.D + s.O);
    b.backward = e * (s.D + s.O + 2.0 * s.Q) +
                 (s.packed ? numbers : 4.0 * s.O);  // codes twice are as long as bf16
    b.unrecorded = e * (2.0 * s.D + (copied ? 2.0 : 1.0) * s.Q + s.O) + s.D;
    return b;
  }
  b.forward = e * std::max(copied ? s.Q : 0.0, s.D);
  // Gradients of the stream, of the output, of q, k and v as the library gives them and as one.
  const double apart = s.packed && kind.cuda ? sums : library ? s.Q * e + sums : 0.0;
  b.backward = e * (s.D + s.O + s.Q) + apart;
  b.unrecorded = e * ((narrow ? 2.0 : 3.0) * s.D + (copied ? 2.0 : 1.0) * s.Q + s.O);
  return b;
}

// Norm, two maps, an activation between them.
BranchBytes ffn_bytes(const Sizes& s, const PassKind& kind, std::string_view name) {
  const double e = s.element, in = s.gated ? 2.0 : 1.0;
  BranchBytes b;
  if (kind.narrow) {
    b.kept = e * s.D;
    b.forward = b.backward = e * 2.0 * s.D;
    // What the matrices' gradients are made of, where a kernel does not sum them itself.
    if (kind.sliced) b.backward += e * (s.D + (in + 1.0) * s.F);
    b.unrecorded = e * 3.0 * s.D;
    return b;
  }
  if (s.fp8) {
    // The stream, codes of its norm, what the curve reads, and codes of what it makes.
    b.kept = e * (s.D + in * s.F) + norm_statistics + s.D + s.F;
    b.forward = e * 2.0 * s.D + s.D + s.F;
    // Both codes of the output's gradient, then of the gradient before the curve, and that behind.
    b.backward = e * s.D + 2.0 * s.D + e * s.F + 2.0 * in * s.F;
    b.unrecorded = e * (3.0 * s.D + in * s.F) + s.D + s.F;
    return b;
  }
  const bool fused =
      kind.cuda ? static_cast<int64_t>(s.F) % 8 == 0 : name == "swiglu";  // ops/activation.cpp
  // Plain operations keep what they multiply by: a gate's curve and its product beside both halves.
  const double inner = s.gated && !fused ? 5.0 : in + 1.0;
  b.kept = e * (2.0 * s.D + inner * s.F) + norm_statistics;
  b.forward = e * s.D;
  // The gradient before the curve lies over what the curve read, where that is the step's own.
  const double before = kind.wide && fused ? 1.0 : in;
  b.backward = e * (s.D + before * s.F + (fused ? 0.0 : 2.0 * s.F));
  b.unrecorded = e * (3.0 * s.D + (in + 1.0) * s.F);
  return b;
}

// Copies of hidden matrices in their formats, which live until their gradients are taken.
double copies_of(const Decoder& d, size_t layer, const PassKind& kind) {
  double elements = 0.0;
  for (const TensorSpec& spec : d.layout.tensors)
    if (spec.layer == static_cast<int>(layer) && spec.formats)
      elements += static_cast<double>(spec.size());
  const double each = is_fused_fp8(d, kind) ? 1.0 : kind.half ? 2.0 : 4.0;
  return elements * each * static_cast<double>(kind.members);
}

}  // namespace

BlockBytes block_bytes(const Decoder& d, size_t layer, const PassKind& kind, double tokens) {
  const std::string_view ffn = d.ffns[layer]->name;
  const Sizes s = sizes_of(d, kind, layer);
  const bool narrow =
      kind.narrow && (cuda::fits_norm_linear(d.model.width, static_cast<int64_t>(s.Q)) ||
                      cuda::fits_wide_norm_linear(d.model.width, static_cast<int64_t>(s.Q)));
  // At width 256 an ffn makes the norm behind it, and goes back through it.
  const bool goes_on = kind.narrow && !narrow && d.recompute == 0;
  const bool plain = kind.cuda && !kind.half;
  BlockBytes block{.branches = {plain ? plain_attention_bytes(s)
                                      : attention_bytes(s, kind, narrow || (goes_on && layer > 0))},
                   .copies = copies_of(d, layer, kind)};
  if (ffn != no_ffn) block.branches.push_back(ffn_bytes(s, kind, ffn));
  if (ffn != no_ffn && goes_on) block.branches.back().backward += s.element * 2.0 * s.D;
  // The attention's output is kept as it is and in its format.
  if (block.copies > 0.0 && !s.fp8) block.branches[0].kept += s.element * s.O;
  for (BranchBytes& b : block.branches)
    for (double* bytes : {&b.kept, &b.forward, &b.backward, &b.unrecorded}) *bytes *= tokens;
  if (!kind.cuda)
    for (double* bytes :
         {&block.branches[0].kept, &block.branches[0].backward, &block.branches[0].unrecorded})
      *bytes += attention_work(d);
  return block;
}

bool is_counted_fp8(const Decoder& d, const PassKind& kind) {
  const bool fp8 = std::any_of(d.layout.tensors.begin(), d.layout.tensors.end(), in_fp8);
  const Sizes s = sizes_of(d, kind, 0);
  return !fp8 || (is_fused_fp8(d, kind) && !is_own(s, kind));
}

}  // namespace rung
