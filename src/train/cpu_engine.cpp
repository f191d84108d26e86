// The CPU step: each worker thread owns some (member, lane) pairs. A member's batch is cut into
// shards by a rule that knows nothing of threads or members; lanes sum their shards' gradients, and
// lanes are summed in fixed order, so that a member's result is the same bits in any company.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "core/error.h"
#include "ops/cpu/kernels.h"
#include "ops/span.h"
#include "train/batch.h"
#include "train/engine.h"
#include "train/memory.h"
#include "train/product_gradients.h"

namespace rung {
namespace {

using at::Tensor;

constexpr int64_t evaluated_tokens = 512;  // at a time

class CpuEngine : public Population::Engine {
 public:
  explicit CpuEngine(const Population& p) {
    const int64_t context = p.decoder.model.context;
    const Shards shards = shards_of(context, p.batch_sequences);
    shard_sequences_ = shards.sequences, shards_ = shards.count, lanes_ = shards.lanes;
    gradient_ = at::zeros({p.members(), lanes_, p.trained.stride}, p.weights.options());
    ropes_ = make_ropes(p.decoder.model, context, p.weights.options());
    for (int64_t m = 0; m < p.members(); ++m) {
      members_.push_back(p.decoder);
      members_.back().block = p.states[static_cast<size_t>(m)].block;
      for (int64_t lane = 0; lane < lanes_; ++lane)
        bound_.push_back(bind(p.decoder.layout, p.weights.narrow(0, m, 1),
                              gradient_.select(0, m).narrow(0, lane, 1)));
    }
  }

  void advance(Population& p) override {
    const int64_t count = p.members() * lanes_;
    std::vector<double> losses(static_cast<size_t>(count), 0.0);
    TaskPool& pool = *machine(p).pool;
    pool.run(count, [&](int64_t task) {
      const int64_t m = task / lanes_;
      if (p.states[static_cast<size_t>(m)].status == MemberStatus::running)
        losses[static_cast<size_t>(task)] = lane_gradient(p, m, task % lanes_);
    });
    pool.run(p.members(), [&](int64_t m) {
      MemberState& state = p.states[static_cast<size_t>(m)];
      if (state.status != MemberStatus::running) return;
      const auto first = losses.begin() + m * lanes_;
      update(p, m, std::accumulate(first, first + lanes_, 0.0));
    });
  }

  std::vector<Evaluation> evaluate(Population& p, const HeldOut& held_out) override {
    const int64_t context = held_out.context;
    if (held_out.windows() < 1) fail("[evaluate] There are no held-out windows to evaluate on.");
    const Ropes ropes = context == p.decoder.model.context
                            ? ropes_
                            : make_ropes(p.decoder.model, context, p.weights.options());
    const int64_t chunk = std::max<int64_t>(1, evaluated_tokens / context);
    const int64_t chunks = (held_out.windows() + chunk - 1) / chunk;
    std::vector<std::vector<double>> losses(static_cast<size_t>(p.members()));
    for (auto& row : losses) row.resize(held_out.document.size());
    std::vector<Tally> tallies(static_cast<size_t>(p.members()));
    std::mutex mutex;
    machine(p).pool->run(p.members() * chunks, [&](int64_t task) {
      at::NoGradGuard off;
      const int64_t m = task / chunks, begin = task % chunks * chunk;
      const int64_t count = std::min(chunk, held_out.windows() - begin);
      const Batch batch = to_batch(std::span(held_out.tokens)
                                       .subspan(static_cast<size_t>(begin * (context + 1)),
                                                static_cast<size_t>(count * (context + 1))),
                                   context);
      Tally tally;
      const Tensor loss = token_losses(members_[static_cast<size_t>(m)], bound(m, 0), batch.tokens,
                                       batch.targets, ropes, 0.0, &tally)
                              .to(at::kDouble)
                              .contiguous();
      std::copy_n(loss.const_data_ptr<double>(), count * context,
                  losses[static_cast<size_t>(m)].begin() + begin * context);
      const std::lock_guard lock(mutex);
      tallies[static_cast<size_t>(m)].add(tally);
    });
    std::vector<Evaluation> results;
    const int32_t documents =
        held_out.document.empty()
            ? 0
            : *std::max_element(held_out.document.begin(), held_out.document.end()) + 1;
    for (size_t m = 0; m < losses.size(); ++m) {
      const auto& row = losses[m];
      std::vector<double> sums(static_cast<size_t>(documents), 0.0);
      for (size_t i = 0; i < row.size(); ++i)
        sums[static_cast<size_t>(held_out.document[i])] += row[i];
      results.push_back(summarise(held_out, sums));
      results.back().statistics = tallies[m].statistics(0);
    }
    return results;
  }

 private:
  std::span<const Weight> bound(int64_t m, int64_t lane) const {
    return bound_[static_cast<size_t>(m * lanes_ + lane)];
  }

  // Sums the gradients of one lane's shards; returns the sum of their losses.
  double lane_gradient(const Population& p, int64_t m, int64_t lane) {
    const int64_t context = p.decoder.model.context;
    gradient_.select(0, m).select(0, lane).zero_();
    double total = 0.0;
    for (int64_t shard = lane; shard < shards_; shard += lanes_) {
      const int64_t begin = shard * shard_sequences_;
      const int64_t count = std::min(shard_sequences_, p.batch_sequences - begin);
      const Batch batch = coming_batch(p, m, begin, count);
      const Tensor losses = token_losses(members_[static_cast<size_t>(m)], bound(m, lane),
                                         batch.tokens, batch.targets, ropes_,
                                         1.0 / static_cast<double>(p.batch_sequences * context));
      const Tensor sum = losses.sum();
      sum.backward();
      total += sum.item<double>();
    }
    if (p.mask.defined())
      gradient_.select(0, m).select(0, lane).mul_(
          p.mask.select(0, m).narrow(0, 0, p.trained.stride));
    return total;
  }

  void update(Population& p, int64_t m, double loss_sum) {
    const Span span("rung::optimizer");
    MemberState& state = p.states[static_cast<size_t>(m)];
    const int64_t n = p.trained.stride;
    const Tensor rows = gradient_.select(0, m);
    double squares = 0.0;
    if (rows.scalar_type() == at::kFloat) {
      squares = cpu::reduce_lanes(n, lanes_, n, rows.mutable_data_ptr<float>());
    } else {
      for (int64_t lane = 1; lane < lanes_; ++lane) rows.select(0, 0).add_(rows.select(0, lane));
      squares = rows.select(0, 0).square().sum().item<double>();
    }
    if (const std::vector<size_t> half = half_gradients(p.decoder, state.config); !half.empty())
      squares = round_gradients(p, half, rows.narrow(0, 0, 1));
    state.loss = loss_sum / static_cast<double>(p.batch_sequences * p.decoder.model.context);
    state.gradient_norm = std::sqrt(squares);
    if (!std::isfinite(state.loss) || !std::isfinite(state.gradient_norm)) {
      state.status = MemberStatus::diverged;
      return;
    }
    Tensor hyper_row = at::empty({1, hyper_count}, at::kDouble);
    auto numbers = hyper(p, m);
    numbers[hyper_scale] = clip_scale(state, state.gradient_norm);
    std::copy(numbers.begin(), numbers.end(), hyper_row.mutable_data_ptr<double>());
    std::map<std::string, Tensor> own;
    for (const auto& [name, tensor] : p.optimizer_state) own[name] = tensor.narrow(0, m, 1);
    at::NoGradGuard off;
    StepInput in{p.trained, p.weights.narrow(0, m, 1).narrow(1, 0, n), rows.narrow(0, 0, 1), own,
                 hyper_row.to(p.weights.scalar_type())};
    if (rounds_by_draws(p))
      in.keys = at::full({1}, static_cast<int64_t>(draw_key(p, m)), at::kLong);
    p.optimizer->step(in);
  }

  // Rounds the sums [1, n] of these tensors to bf16; the sum of all squares.
  static double round_gradients(const Population& p, const std::vector<size_t>& half,
                                const Tensor& sums) {
    for (const size_t i : half) {
      Tensor own = flat_part(p.decoder.layout, sums, i);
      own.copy_(own.to(at::kBFloat16));
    }
    if (sums.scalar_type() != at::kFloat) return sums.square().sum().item<double>();
    return cpu::reduce_lanes(sums.size(1), 1, sums.size(1), sums.mutable_data_ptr<float>());
  }

  int64_t shard_sequences_, shards_, lanes_;
  Tensor gradient_;  // [P, lanes, trained]
  Ropes ropes_;
  std::vector<Decoder> members_;            // the decoder with each member's multipliers
  std::vector<std::vector<Weight>> bound_;  // [P * lanes]
};

}  // namespace

std::unique_ptr<Population::Engine> Population::Engine::make_cpu(const Population& population) {
  return std::make_unique<CpuEngine>(population);
}

}  // namespace rung
