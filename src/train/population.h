// P members that share shapes and differ in hyperparameters and seed, trained together one step at
// a time.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/source.h"
#include "model/decoder.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "train/pool.h"

namespace rung {

enum class MemberStatus { running, diverged };

struct MemberState {
  RunConfig config;
  BlockFactors block;
  MemberStatus status = MemberStatus::running;
  double loss = 0.0;  // mean training loss of the last step, nats per token
  double gradient_norm = 0.0;
};

// Loss on the held-out windows: mean, standard error clustered by document, and the mean by
// document. What parts report of these windows, by layer.
struct Evaluation {
  double loss = 0.0, standard_error = 0.0;
  std::vector<double> document_loss, document_tokens;
  std::vector<Statistic> statistics;
};

// Where a population lives and computes.
struct Machine {
  std::string device = "cpu";
  std::shared_ptr<TaskPool> pool;  // CPU workers, one a core
  // Sequences of each member that a GPU computes at a time (gradients accumulate); 0: all that fit.
  int64_t micro_sequences = 0;
  // Among the runs that share a GPU, of CUDA's streams: -1 to -3. What waits at a lower number goes
  // first. What runs beside a step (ops/cuda/beside.h) is at 0.
  int priority = -1;
};
Machine make_machine(const std::string& device, int threads);

// The configuration, as to_json writes it, without what may differ inside a population; members
// have it in common.
Json program_settings(const RunConfig& config);

class Population {
 public:
  // All members must agree on shape, context, batch and tokens. Fails (usage) otherwise. `alter`
  // may change the factors that the rule gave, before weights are drawn: how tests plant faults.
  Population(std::vector<RunConfig> members, std::shared_ptr<const TokenSource> source,
             Machine machine, const std::function<void(Decoder&)>& alter = {});
  ~Population();

  int64_t members() const { return static_cast<int64_t>(states.size()); }
  bool all_diverged() const;
  // One optimizer step of every running member; a member whose loss or gradient is not finite is
  // frozen.
  void advance();
  // Waits until the device has done every step taken so far. On a GPU, losses and divergence reach
  // `states` some steps late; call this before reading them, weights or optimizer_state. Weights
  // and state may be overwritten in place (copy_) after it; the next step sees that.
  void sync();
  // Continues with another total length (a cooldown branch of this trunk, or a longer trunk).
  void reschedule(const Schedule& schedule) { this->schedule = schedule; }
  std::vector<Evaluation> evaluate(const HeldOut& held_out);
  // The weights [P, n] to evaluate, export and generate with: the optimizer's average where it
  // keeps one, else `weights` themselves.
  at::Tensor eval_weights() const;
  // One member's decoder with its multipliers and the weights to evaluate with, as they are now.
  struct Bound {
    Decoder decoder;
    at::Tensor row;  // [1, n]
    std::vector<Weight> weights;
  };
  Bound bound(int64_t member);
  // Next-token logits [1, 1, T, V] of one member.
  // With a cache the tokens follow those that it has seen.
  at::Tensor logits(int64_t member, const at::Tensor& tokens, Cache* cache = nullptr);

  Decoder decoder;
  Layout trained;  // of decoder.layout what is not frozen: gradients' and the optimizer's
  Schedule schedule;
  const Optimizer* optimizer = nullptr;
  int64_t step = 0;             // optimizer steps done
  int64_t batch_sequences = 0;  // sequences per step and member
  std::vector<MemberState> states;
  at::Tensor weights;  // [P, n] masters
  at::Tensor mask;     // [P, n], 1 where a weight may move; undefined where none is sparse
  std::map<std::string, at::Tensor> optimizer_state;

  struct Engine;  // train/engine.h

 private:
  std::array<double, hyper_count> hyper(int64_t member) const;
  bool rounds_by_draws() const;
  uint64_t draw_key(int64_t member) const;
  std::shared_ptr<const TokenSource> source_;
  Machine machine_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace rung
