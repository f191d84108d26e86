// The best use of a compute budget that a fitted law knows: parameters N and tokens D that minimise
// its loss under 6 N D + 2 N D_inference <= flops and further limits. Source: Hoffmann et al. 2022,
// section 3.4, for the training budget; Sardana et al. 2024, "Beyond Chinchilla-Optimal", equation
// 2, for the inference term.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/predict.h"

namespace rung {

struct PlanOptions {
  double flops = 0.0;             // of training and inference together
  double inference_tokens = 0.0;  // served over the model's life, at 2 N FLOPs each
  double max_tokens = unbounded, max_params = unbounded;
  double memory = unbounded;          // bytes that training may hold for the parameters
  double bytes_per_parameter = 16.0;  // weights, gradients and two moments in fp32
  Point other{};                      // inputs of the law beside N, D, C and M = D/N
  double flat = 1e-3;                 // near-optimal: a loss within this fraction of the best
  double level = 0.9;
};

struct Plan {
  double N = 0.0, D = 0.0, C = 0.0;    // C: 6 N D, of training alone
  double inference_flops = 0.0;        // 2 N D_inference
  Prediction prediction;               // of a new measurement at N and D
  Range N_interval, D_interval;        // of the optimum over the fit's samples
  Range flat_N, flat_D;                // near-optimal sizes, and their tokens; NaN unknown
  std::vector<std::string> limits{};   // which limits hold N back
  std::vector<std::string> remarks{};  // what to know before using it
};

// A fit of IsoFLOP curves or an envelope has the optimum as laws of C (N_opt, D_opt, L_opt): they
// are read at the budget, without limits or inference, and know no near-optimal set.
//
// Refuses (exit status 3) a refused fit, and a fit that has no optimum under the budget or leaves
// its place open. Usage errors: a law that does not read N and D, missing inputs, limits that are
// not positive.
Plan make_plan(const Fit& fit, const PlanOptions& options);

}  // namespace rung
