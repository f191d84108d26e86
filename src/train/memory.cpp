#include "train/memory.h"

#include <algorithm>
#include <cmath>

#include "model/pass_memory.h"
#include "ops/cuda/beside.h"
#include "optim/moments.h"
#include "train/coded_weights.h"
#include "train/device.h"
#include "train/product_gradients.h"

namespace rung {
namespace {

// Activations of one shard stay in cache; small batches still split.
constexpr int64_t shard_tokens = 512;
constexpr int64_t max_lanes = 4;
constexpr double memory_share = 0.7;                // of a GPU, for one population
constexpr int64_t evaluation_tokens = 262'144;      // of all members at a time, on a GPU, at most
constexpr double small_evaluation = 268'435'456.0;  // bytes
constexpr double workspace = 33'554'432.0;          // cuBLAS's on Hopper, for a thread and stream

double member_state(const Decoder& d, const RunConfig& config, double master) {
  const TrainConfig& train = config.train;
  return state_bytes(
      states_of(find_optimizer(train.optimizer), trained_part(d.layout), train.moments), master);
}

// Windows, ids and losses of a step, and what the optimizer reads of the layout.
double step_buffers(const Decoder& d, const RunConfig& config, const MemoryPlan& plan) {
  const double context = static_cast<double>(config.model.context),
               members = static_cast<double>(plan.members),
               batch = static_cast<double>(config.train.batch_tokens) / context;
  return members * (batch * (4.0 * (context + 1.0) + 4.0 * context) +
                    static_cast<double>(plan.sequences) * 16.0 * context) +
         static_cast<double>(d.layout.stride) / 8.0;
}

// Bytes of one member's gradients: those of maps in bf16 where one pass takes the whole batch.
double gradient_bytes(const Decoder& d, const RunConfig& config, int64_t sequences) {
  double bytes = 4.0 * static_cast<double>(d.layout.stride);
  if (sequences * config.model.context == config.train.batch_tokens)
    for (const size_t i : half_gradients(d, config))
      bytes -= 2.0 * static_cast<double>(d.layout.tensors[i].size());
  return bytes;
}

void plan_cuda(const Decoder& d, const RunConfig& config, MemoryPlan& plan) {
  const double members = static_cast<double>(plan.members),
               stride = static_cast<double>(d.layout.stride);
  const PassKind kind = pass_kind(d, config, plan.members, plan.sequences);
  plan.weights = members * stride * (kind.half ? 6.0 : 4.0);
  if (!coded_weights(d, config).empty())
    plan.weights += members * static_cast<double>(d.layout.trained);
  plan.gradients = members * gradient_bytes(d, config, plan.sequences);
  plan.optimizer = members * member_state(d, config, 4.0);
  plan.pass = training_pass_bytes(d, kind);
  plan.counted = is_counted(d, kind);
  plan.cuda = true;
  PassKind held_out = kind;
  const int64_t context = config.model.context;
  held_out.sequences = std::min(evaluated_windows(d, config, plan.members, plan.sequences, context),
                                std::max<int64_t>(1, config.train.eval_tokens / context));
  plan.evaluation = evaluation_pass_bytes(d, held_out);
  const bool beside = plan.members * plan.sequences * config.model.context * config.model.width <=
                      cuda::most_numbers_beside;
  plan.other = step_buffers(d, config, plan) +
               (beside ? 3.0 : 2.0) * workspace;  // the backward pass has its own thread
}

void plan_cpu(const Decoder& d, const RunConfig& config, int threads, MemoryPlan& plan) {
  const double element = config.precision == "fp64" ? 8.0 : 4.0;
  const double members = static_cast<double>(plan.members),
               stride = static_cast<double>(d.layout.stride) * element;
  const int64_t context = config.model.context;
  const Shards shards = shards_of(context, config.train.batch_tokens / context);
  plan.sequences = shards.sequences;
  const PassKind kind =
      pass_kind(d, config, 1, std::min(shards.sequences, config.train.batch_tokens / context));
  const double tasks =
      static_cast<double>(std::min<int64_t>(std::max(1, threads), plan.members * shards.lanes));
  plan.weights = members * stride;
  plan.gradients = members * static_cast<double>(shards.lanes * d.layout.trained) * element;
  plan.optimizer = members * member_state(d, config, element);
  // Ids of a shard: as they are read, and as 64-bit numbers.
  const double ids = 20.0 * static_cast<double>(kind.sequences * context);
  plan.pass = tasks * (training_pass_bytes(d, kind) * (element / 4.0) + ids);
  plan.counted = is_counted(d, kind) && config.precision != "fp64";
}

}  // namespace

MemoryPlan plan_memory(const Decoder& d, const RunConfig& config, int64_t members,
                       int64_t sequences, int threads) {
  MemoryPlan plan{
      .members = members,
      .sequences = sequences ? sequences : config.train.batch_tokens / config.model.context};
  const double mask =
      has_sparse(d.layout) ? static_cast<double>(members * d.layout.stride) * 4.0 : 0.0;
  if (config.device == "cuda")
    plan_cuda(d, config, plan);
  else
    plan_cpu(d, config, threads, plan);
  plan.other += mask;
  return plan;
}

MemoryPlan fit_batch(const Decoder& d, const RunConfig& config, int64_t members, double budget,
                     int threads) {
  const int64_t batch = config.train.batch_tokens / config.model.context;
  MemoryPlan plan = plan_memory(d, config, members, batch, threads);
  if (config.device != "cuda" || budget <= 0.0) return plan;
  for (int64_t parts = 2; parts <= batch && plan.held() > budget; ++parts)
    if (batch % parts == 0) plan = plan_memory(d, config, members, batch / parts, threads);
  return plan;
}

int64_t fit_members(const Decoder& d, const RunConfig& config, int64_t members, double budget,
                    int threads) {
  if (budget <= 0.0) return members;
  int64_t low = 1, high = members;  // the largest that fits lies in [low, high], or is 1
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (plan_memory(d, config, middle, 1, threads).held() <= budget)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

int64_t evaluated_windows(const Decoder& d, const RunConfig& config, int64_t members,
                          int64_t sequences, int64_t context) {
  PassKind kind = pass_kind(d, config, members, sequences);
  const double most = std::max(0.25 * training_pass_bytes(d, kind), small_evaluation);
  // Passes are counted in sequences of the training's context.
  const auto bytes = [&](int64_t windows) {
    kind.sequences = std::max<int64_t>(1, windows * context / d.model.context);
    return evaluation_pass_bytes(d, kind);
  };
  int64_t windows = std::max<int64_t>(1, evaluation_tokens / (members * context));
  while (windows > 1 && bytes(windows) > most) windows /= 2;
  return windows;
}

double memory_budget(const RunConfig& config) {
  if (config.train.memory > 0.0) return config.train.memory;
  return config.device == "cuda" ? memory_share * static_cast<double>(gpu_memory()) : 0.0;
}

Shards shards_of(int64_t context, int64_t batch_sequences) {
  Shards shards{.sequences = std::max<int64_t>(1, shard_tokens / context)};
  shards.count = (batch_sequences + shards.sequences - 1) / shards.sequences;
  shards.lanes = std::min(shards.count, max_lanes);
  return shards;
}

}  // namespace rung
