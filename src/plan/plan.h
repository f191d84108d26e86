// What to train under a budget, by what fits know: parameters N and tokens D that minimise the
// loss, real shapes near them, and wherever a fit covers it the vocabulary, bits, experts, batch
// and learning rate. Source: Hoffmann et al. 2022, section 3.4, for the training budget 6 N D;
// Sardana et al. 2024, "Beyond Chinchilla-Optimal", equation 2, for the inference term 2 N D_inf.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/predict.h"
#include "plan/knowledge.h"
#include "plan/shape.h"

namespace rung {

struct PlanOptions {
  double flops = unbounded;       // of training and inference together
  double inference_tokens = 0.0;  // served over the model's life, at 2 N FLOPs each
  double max_tokens = unbounded, max_params = unbounded;
  double memory = unbounded;          // bytes that training may hold for the parameters
  double bytes_per_parameter = 16.0;  // weights, gradients and two moments in fp32
  Point other{};                      // inputs of the law beside N, D, C and M = D/N
  double flat = 5e-3;                 // near-optimal: a loss within this fraction of the best
  double level = 0.9;

  double seconds = unbounded;           // wall time of training alone
  double rate = 0.0;                    // FLOP/s that training sustains; 0: unknown
  double unique_tokens = unbounded;     // that there are; a data-constrained law weighs repeats
  double inference_memory = unbounded;  // bytes for the weights when serving
  double inference_bits = 16.0;         // of a weight when serving, unless a fit chooses them
  double latency = unbounded;           // seconds a generated token may take
  double bandwidth = 0.0;               // of the serving memory, bytes/s
  bool bit_flops = false;               // training costs in proportion to the bits: 6 N D P/16
  double experts = 0.0;                 // to take; 0: what the fits find best, or one
  double size = 0.0;                    // of a model that is given; 0: chosen
  int64_t width = 0, depth = 0;         // of it, instead of its size
  ShapeOptions shape{};
  size_t candidates = 9;  // real shapes to show
  bool force = false;     // also where a coefficient at its bound decides, or units are in doubt
};

// One number that a fit gives for this plan.
struct Advice {
  std::string name{};  // lr, batch_tokens, cbs, ...
  double value = 0.0, lo = 0.0, hi = 0.0;
  std::string source{};  // the fit that it comes from
  std::string note{};    // its unit, or what makes it doubtful
};

// A choice that was weighed: bits, experts, granularity.
struct Alternative {
  double bits = 0.0, experts = 0.0, granularity = 0.0;  // 0: not part of the choice
  double N = 0.0, N_total = 0.0, D = 0.0, loss = 0.0;
  double accuracy = 0.0;  // where a k-bit fit decides; else NaN
  double support = 0.0;   // share of the resampled fits in which it is the best
  bool possible = true;   // false: the limits leave no size
};

struct ShapeCandidate {
  ModelShape shape{};
  double D = 0.0, loss = 0.0;
  double excess = 0.0;  // loss over the best possible, less one
  double price = 1.0;   // the part of it that width over depth costs, as a factor on the loss
  double flops = 0.0, seconds = 0.0, memory = 0.0, latency = 0.0;  // NaN: unknown
};

// What a model that is given loses against the best.
struct Given {
  double best_N = 0.0, best_D = 0.0, best_loss = 0.0;
  double excess = 0.0;       // loss over the best, less one
  double flops_share = 0.0;  // of the budget that the best size needs for the same loss
};

struct Plan {
  double N = 0.0, D = 0.0, C = 0.0;    // C: of training alone, as the budget counts it
  double inference_flops = 0.0;        // 2 N D_inference
  Prediction prediction;               // of a new measurement at N and D
  Range N_interval, D_interval;        // of the optimum over the fit's samples
  Range flat_N, flat_D;                // near-optimal sizes, and their tokens; NaN unknown
  std::vector<std::string> limits{};   // which of limits and budgets hold N or D back
  std::vector<std::string> remarks{};  // what to know before using it

  std::string source{};  // the fit that N, D and loss come from
  double N_total = 0.0;  // stored: of a given shape with its embeddings; else of N and its experts
  double seconds = 0.0, memory = 0.0, inference_memory = 0.0, latency = 0.0;  // NaN: unknown
  Alternative choice{};  // the bits and experts that were chosen
  std::vector<Alternative> alternatives{};
  std::string choice_source{};
  std::optional<Given> given{};
  std::optional<Advice> vocabulary{};
  std::vector<ShapeCandidate> shapes{};
  std::optional<Advice> aspect{};  // width over depth that the rule prefers
  std::vector<Advice> batch{}, lr{};
  std::vector<std::string> unknown{};  // what no fit covers
  struct BasinPoint {
    double N = 0.0, D = 0.0, loss = 0.0, lo = 0.0, hi = 0.0;
  };
  std::vector<BasinPoint> basin{};  // loss along the budget, where asked for
};

// A fit of IsoFLOP curves or an envelope has the optimum as laws of C (N_opt, D_opt, L_opt): they
// are read at the budget, without limits or inference, and know no near-optimal set.
//
// Refuses (exit status 3) a refused fit, a fit that has no optimum under the budget or leaves its
// place or its loss open, and without `force` one of sizes or tokens in doubtful units. Usage
// errors: a law that does not read N and D, missing inputs, limits that are not positive, no
// budget.
Plan make_plan(std::span<const PlanSource> sources, const PlanOptions& options,
               bool with_basin = false);
Plan make_plan(const Fit& fit, const PlanOptions& options);

}  // namespace rung
