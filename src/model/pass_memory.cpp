#include "model/pass_memory.h"

#include <algorithm>

#include "config/pattern.h"
#include "model/block_memory.h"
#include "ops/cross_entropy.h"
#include "ops/cuda/hopper/linear_loss.h"
#include "ops/cuda/hopper/loss_chunk.h"
#include "ops/cuda/hopper/powers_loss.h"
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/hopper/streamed_loss.h"
#include "ops/cuda/hopper/streamed_mlp.h"
#include "ops/cuda/hopper/streamed_rows.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/mlp.h"

namespace rung {
namespace {

double logit_bytes(const Decoder& d, const PassKind& kind, double rows) {
  if (kind.without_logits) return 0.0;
  constexpr double chunk = LossOptions{}.chunk;
  const double vocabulary = static_cast<double>(d.vocabulary);
  if (!kind.cuda) return 4.0 * std::min(rows, chunk) * vocabulary;
  if (kind.streamed_loss) {
    // Exponentials in the logits' place, and beside them rows divided by their sums.
    const cuda::LossChunk chunk_of =
        cuda::loss_chunk(kind.members, static_cast<int64_t>(rows), d.vocabulary);
    return 2.0 * static_cast<double>(chunk_of.members * chunk_of.rows) *
           (vocabulary + static_cast<double>(d.model.width));
  }
  return (kind.half ? 2.0 : 4.0) * vocabulary *
         static_cast<double>(
             kind.members * gpu_logit_rows(kind.members, static_cast<int64_t>(rows), d.vocabulary));
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
  const bool filled =
      kind.half && cuda::fills_device(members, sequences * m.context, hopper_processors);
  const bool in_steps = kind.half && !formats && !m.ffn_bias && !m.norm_gain && !m.norm_bias &&
                        !m.sub_norm && m.norm_place == "before";
  kind.narrow = in_steps && m.norm == "rmsnorm" &&
                (cuda::fits_mlp(m.width, ffn_width_of(m)) ||
                 cuda::fits_sliced_mlp(m.width, ffn_width_of(m)) ||
                 (filled && cuda::fits_streamed_mlp(m.width, ffn_width_of(m))));
  kind.wide = in_steps && !kind.narrow && m.width % 8 == 0 && m.width <= cuda::max_norm_width;
  kind.sliced = kind.narrow && !cuda::fits_mlp(m.width, ffn_width_of(m));
  kind.streamed_loss = filled && m.logit_cap == 0.0 &&
                       (cuda::fits_streamed_loss(m.width, d.vocabulary) ||
                        cuda::fits_powers_loss(m.width, d.vocabulary));
  kind.without_logits = kind.half && m.width % 8 == 0 && m.width <= cuda::widest_linear_loss;
  return kind;
}

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
  return is_counted_fp8(d, kind) && all(d.mixers, mixes) && all(d.ffns, maps) &&
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
  kept += stream + norm_statistics * tokens;
  meet(2.0 * stream + 4.0 * tokens + logit_bytes(d, kind, rows));
  meet(3.0 * stream);
  kept -= stream + norm_statistics * tokens;
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
