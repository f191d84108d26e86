// Counted as src/model/blocks.cpp runs: what each op keeps for its backward pass, and what lives
// besides while it is at work. D: width, Q: units of queries, keys and values, O: of the
// attention's output, F: of the ffn; all a token.
#include "model/pass_memory.h"

#include <algorithm>
#include <cmath>

#include "config/pattern.h"
#include "ops/cpu/kernels.h"
#include "ops/cuda/linear_loss.h"
#include "ops/cuda/mlp.h"
#include "ops/cuda/norm_linear.h"
#include "ops/cuda/sliced_mlp.h"

namespace rung {
namespace {

// Bytes a token of one branch with its norm: kept, and held besides at most.
struct BranchBytes {
  double kept = 0.0, forward = 0.0, backward = 0.0, unrecorded = 0.0;
};

struct Sizes {
  double element, D, Q, O, F, heads, time;
  bool gated;
  bool in_place;  // the library's attention rotates what the map wrote
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

Sizes sizes_of(const Decoder& d, const PassKind& kind, std::string_view ffn) {
  const ModelConfig& m = d.model;
  const auto of = [](int64_t n) { return static_cast<double>(n); };
  return {.element = kind.half ? 2.0 : 4.0,
          .D = of(m.width),
          .Q = of((heads_of(m) + 2 * kv_heads_of(m)) * head_dim_of(m)),
          .O = of(heads_of(m) * head_dim_of(m)),
          .F = of(ffn_width_of(m)),
          .heads = of(heads_of(m)),
          .time = of(m.context),
          .gated = ffn == "swiglu" || ffn == "geglu",
          .in_place = !m.key_offset && d.block.attention_output.forward == 1.0,
          .fp8 = is_fused_fp8(d, kind)};
}

constexpr double statistics = 8.0;  // a norm's mean and scale, in fp32

// What attention on the CPU works in, which its backward pass needs once more.
double attention_work(const Decoder& d) {
  const ModelConfig& m = d.model;
  return 4.0 * static_cast<double>(cpu::attention_scratch({.time = m.context,
                                                           .heads = heads_of(m),
                                                           .kv_heads = kv_heads_of(m),
                                                           .head_dim = head_dim_of(m)}));
}

// Short heads and sequences on a GPU (taken for a Hopper), whose kernels rotate as they read
// (ops/cuda/small_attention.h).
bool is_small(const Sizes& s, const PassKind& kind) {
  const double dim = s.O / s.heads, padded = std::ceil(dim / 16.0) * 16.0,
               rows = std::ceil(s.time / 16.0) * 16.0;
  return kind.half && s.Q == 3.0 * s.O && dim <= 64.0 &&
         rows * (8.0 * (padded + 8.0) + 8.0) <= (dim > 32.0 ? 163840.0 : 102400.0) && rows <= 256.0;
}

// Attention op by op, as fp32 has it on a GPU (attention_plain): q, k and v as the products read
// them and one matrix of weights are kept. At the softmax there are logits and masked logits beside
// it; in the backward pass the gradients at either side of it and LibTorch's product of the upper
// one with the weights.
BranchBytes plain_attention_bytes(const Sizes& s) {
  const double e = s.element, scores = e * s.heads * s.time;
  BranchBytes b;
  b.kept = e * (2.0 * s.D + 3.0 * s.O + s.O) + statistics + scores;
  b.forward = e * (s.Q + 2.0 * s.O) + 2.0 * scores;
  b.backward = e * (s.D + s.O) + std::max(3.0 * scores, e * (3.0 * s.Q + s.O));
  b.unrecorded = e * (2.0 * s.D + s.Q + 3.0 * s.O) + 3.0 * scores;
  return b;
}

// How many sums of a query's gradient the library has side by side: in a fixed order as many as
// give every multiprocessor (of a Hopper's 132) some, so few heads have more.
double sums_of(const Sizes& s, const PassKind& kind) {
  constexpr double processors = 132.0;
  return kind.ordered ? std::ceil(processors /
                                  (static_cast<double>(kind.members * kind.sequences) * s.heads))
                      : 1.0;
}

// Norm, map to q, k, v, attention, map back.
BranchBytes attention_bytes(const Sizes& s, const PassKind& kind, bool narrow) {
  const double e = s.element;
  BranchBytes b;
  // The stream, its norm, q, k and v (rotated), the output and its log-sums.
  b.kept = e * (2.0 * s.D + s.Q + s.O) + statistics + 4.0 * s.heads;
  if (narrow) b.kept -= e * s.D + statistics;  // no norm is written
  const bool library = kind.cuda && !is_small(s, kind);
  const bool copied = library && !s.in_place;
  if (s.fp8) {
    // Of what the maps read, codes by columns are kept in place of the norm; those by rows and the
    // norm live until the map is done.
    b.kept += s.D + s.O - e * s.D;
    b.forward = std::max(copied ? e * (s.D + s.Q) + s.D - 3.0 * s.O : 0.0, 2.0 * e * s.D + s.O);
    b.backward = e * (s.D + s.O + 2.0 * s.Q) + 4.0 * s.O;  // codes twice are as long as bf16
    b.unrecorded = e * (2.0 * s.D + (copied ? 2.0 : 1.0) * s.Q + s.O) + s.D;
    return b;
  }
  b.forward = e * std::max(copied ? s.Q : 0.0, s.D);
  // Gradients of the stream, of the output, of q, k and v as the library gives them and as one.
  const double apart =
      library ? s.Q * e + 4.0 * s.O * sums_of(s, kind) : 0.0;  // with the library's sums in fp32
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
    b.kept = e * (s.D + in * s.F) + statistics + s.D + s.F;
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
  b.kept = e * (2.0 * s.D + inner * s.F) + statistics;
  b.forward = e * s.D;
  b.backward = e * (s.D + in * s.F + (fused ? 0.0 : 2.0 * s.F));
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

// All of one block, in bytes of the pass.
struct BlockBytes {
  std::vector<BranchBytes> branches;
  double copies = 0.0;
  double kept() const {
    double sum = copies;
    for (const BranchBytes& b : branches) sum += b.kept;
    return sum;
  }
  double unrecorded() const {
    double most = 0.0;
    for (const BranchBytes& b : branches) most = std::max(most, b.unrecorded);
    return most + copies;
  }
};

BlockBytes block_bytes(const Decoder& d, size_t layer, const PassKind& kind, double tokens) {
  const std::string_view ffn = d.ffns[layer]->name;
  const Sizes s = sizes_of(d, kind, ffn);
  const bool narrow =
      kind.narrow && (cuda::fits_norm_linear(d.model.width, static_cast<int64_t>(s.Q)) ||
                      cuda::fits_wide_norm_linear(d.model.width, static_cast<int64_t>(s.Q)));
  const bool plain = kind.cuda && !kind.half;
  BlockBytes block{
      .branches = {plain ? plain_attention_bytes(s) : attention_bytes(s, kind, narrow)},
      .copies = copies_of(d, layer, kind)};
  if (ffn != no_ffn) block.branches.push_back(ffn_bytes(s, kind, ffn));
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

double logit_bytes(const Decoder& d, const PassKind& kind, double rows) {
  if (kind.without_logits) return 0.0;
  constexpr double chunk = 1024.0, most = 1073741824.0;  // as ops/cross_entropy.cpp cuts them
  const double vocabulary = static_cast<double>(d.vocabulary);
  const double all = rows * static_cast<double>(kind.members) * vocabulary;
  if (!kind.cuda) return 4.0 * std::min(rows, chunk) * vocabulary;
  return (kind.half ? 2.0 : 4.0) * all / std::ceil(all / most);
}

}  // namespace

PassKind pass_kind(const Decoder& d, const RunConfig& config, int64_t members, int64_t sequences) {
  PassKind kind{.cuda = config.device == "cuda",
                .half = config.precision == "bf16" || config.precision == "fp8",
                .ordered = config.train.deterministic,
                .members = members,
                .sequences = sequences};
  const ModelConfig& m = d.model;
  const bool formats = std::any_of(d.layout.tensors.begin(), d.layout.tensors.end(),
                                   [](const TensorSpec& spec) { return spec.formats != nullptr; });
  kind.half = kind.half && kind.cuda;
  kind.narrow =
      kind.half && !formats && !m.ffn_bias && !m.norm_gain && !m.norm_bias && m.norm == "rmsnorm" &&
      m.norm_place == "before" &&
      (cuda::fits_mlp(m.width, ffn_width_of(m)) || cuda::fits_sliced_mlp(m.width, ffn_width_of(m)));
  kind.sliced = kind.narrow && !cuda::fits_mlp(m.width, ffn_width_of(m));
  kind.without_logits = kind.half && m.width % 8 == 0 && m.width <= cuda::widest_linear_loss;
  return kind;
}

namespace {

bool is_counted_fp8(const Decoder& d, const PassKind& kind) {
  return is_fused_fp8(d, kind) && !is_small(sizes_of(d, kind, no_ffn), kind);
}

}  // namespace

bool is_counted(const Decoder& d, const PassKind& kind) {
  const ModelConfig& m = d.model;
  const auto all = [](const std::vector<const Part*>& parts, auto known) {
    return std::all_of(parts.begin(), parts.end(),
                       [&](const Part* part) { return known(part->name); });
  };
  const auto mixes = [](std::string_view name) { return name == "attention"; };
  const auto maps = [](std::string_view name) {
    return name == "swiglu" || name == "geglu" || name == "gelu" || name == "relu2" ||
           name == no_ffn;
  };
  const bool windowed = std::any_of(d.windows.begin(), d.windows.end(),
                                    [&](int64_t window) { return window && window < m.context; });
  const bool fp8 = std::any_of(d.layout.tensors.begin(), d.layout.tensors.end(), in_fp8);
  return (!fp8 || is_counted_fp8(d, kind)) && all(d.mixers, mixes) && all(d.ffns, maps) &&
         (kind.half || !windowed) && !m.qk_norm && m.attention_bias == "none" && !m.ffn_bias &&
         m.attention_cap == 0.0 && m.position != "cope" && m.norm_place == "before" &&
         !m.parallel && !m.sub_norm && m.mtp_heads == 1 && m.linear == "dense" && m.ffn_gain == 0.0;
}

double training_pass_bytes(const Decoder& d, const PassKind& kind) {
  const double rows = static_cast<double>(kind.sequences * d.model.context);
  const double tokens = rows * static_cast<double>(kind.members);
  const double stream = (kind.half ? 2.0 : 4.0) * static_cast<double>(d.model.width) * tokens;
  double kept = 0.0, most = 0.0;
  const auto meet = [&](double besides) { most = std::max(most, kept + besides); };
  std::vector<BlockBytes> blocks;
  for (size_t layer = 0; layer < d.mixers.size(); ++layer) {
    blocks.push_back(block_bytes(d, layer, kind, tokens));
    const BlockBytes& block = blocks.back();
    if (d.recompute && layer % static_cast<size_t>(d.recompute) == 0) {
      kept += layer == 0 ? stream : 2.0 * stream;
      meet(block.unrecorded());
      continue;
    }
    kept += block.copies;
    for (const BranchBytes& b : block.branches) {
      kept += b.kept;
      meet(b.forward);
    }
  }
  // The final norm and its input; the loss leaves the gradient of what the readout read.
  kept += stream + statistics * tokens;
  meet(2.0 * stream + 4.0 * tokens + logit_bytes(d, kind, rows));
  meet(3.0 * stream);
  kept -= stream + statistics * tokens;
  for (size_t layer = blocks.size(); layer-- > 0;) {
    const BlockBytes& block = blocks[layer];
    const bool anew = d.recompute && layer % static_cast<size_t>(d.recompute) == 0;
    if (anew) kept += block.kept();
    for (size_t b = block.branches.size(); b-- > 0;) {
      meet(block.branches[b].backward + stream);
      kept -= block.branches[b].kept;
    }
    kept -= block.copies;
    if (anew) kept -= layer == 0 ? stream : 2.0 * stream;
  }
  return most;
}

double evaluation_pass_bytes(const Decoder& d, const PassKind& kind) {
  const double rows = static_cast<double>(kind.sequences * d.model.context);
  const double tokens = rows * static_cast<double>(kind.members);
  const double stream = (kind.half ? 2.0 : 4.0) * static_cast<double>(d.model.width) * tokens;
  double most = 2.0 * stream + logit_bytes(d, kind, rows);
  for (size_t layer = 0; layer < d.mixers.size(); ++layer)
    most = std::max(most, block_bytes(d, layer, kind, tokens).unrecorded());
  return most + 4.0 * tokens;
}

}  // namespace rung
