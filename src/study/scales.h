// The annotated model (Blake et al. 2023, arXiv 2303.11257): how large every weight, activation and
// gradient of one member is while it trains, and what number formats would lose of each.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/json.h"
#include "scaling/tensor_statistics.h"
#include "train/run.h"

namespace rung {

struct ScalesPlan {
  std::vector<int64_t> steps{0, 1, 10, 100};  // optimizer steps after which to look
  bool by_default = false;                    // nobody gave the steps; errors say so
  // Tokens of the coming batch whose activations are kept; weight gradients are of the whole batch.
  int64_t probe_tokens = 8192;
};

enum class ScaleKind { activation, gradient, weight, weight_gradient };
inline constexpr std::array scale_kinds = {ScaleKind::activation, ScaleKind::gradient,
                                           ScaleKind::weight, ScaleKind::weight_gradient};
const char* kind_name(ScaleKind kind);

// One tensor at one step. Activations are named by the weight that reads or writes them, such as
// blocks.0.ffn.down.input; `stream` is the residual stream before a branch or behind the last,
// `scores` are q.k as the softmax sees them.
struct ScaleRow {
  int64_t step = 0;
  std::string tensor;
  int layer = -1;
  ScaleKind kind = ScaleKind::activation;
  TensorStatistics statistics;
};

struct ScalesResult {
  std::vector<ScaleRow> rows;
  std::vector<int64_t> steps;  // those looked at, ascending
  std::vector<double> losses;  // of the batch that each of them is about to train on
  bool diverged = false, interrupted = false;
};

// Gradients are those of the coming step, with the loss scale of training. Values are computed in
// the type of the masters, so that what they would lose in a format is not lost yet. Fails (usage)
// on steps beyond the run.
ScalesResult record_scales(const RunConfig& config, const ScalesPlan& plan,
                           std::shared_ptr<const TokenSource> source, const Machine& machine,
                           const RunHooks& hooks = {});

// The tensors of one name in all blocks and at all steps.
struct ScaleClass {
  std::string name;
  ScaleKind kind = ScaleKind::activation;
  std::vector<double> rms;  // by step, over its layers
  // The row that loses most in the formats as it is; among equals the one farthest from scale 1.
  const ScaleRow* worst = nullptr;
};
std::vector<ScaleClass> scale_classes(const ScalesResult& result);

// All tensors of a kind at one step that are not zero throughout: from the smallest RMS to the
// largest, and by format the largest share that one of them loses, as it is and at its best scale.
struct ScaleRange {
  ScaleKind kind = ScaleKind::activation;
  int64_t step = 0;
  double lo = 0.0, hi = 0.0;
  std::vector<double> lost, scaled_lost;
};
std::vector<ScaleRange> scale_ranges(const ScalesResult& result);

Json to_json(const ScalesResult& result, const RunConfig& config);
std::string scales_csv(const ScalesResult& result);

}  // namespace rung
