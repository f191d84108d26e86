// The sizes that a budget allows and the tokens that it leaves each of them:
//   training    6 N D + routing <= training FLOPs (those of the wall time: seconds x rate)
//   life        6 N D + 2 N D_inf <= FLOPs
//   data        D <= tokens that there are
//   memory      N_total <= memory / bytes a parameter, N_total <= 8 inference memory / bits
//   latency     N bits / (8 bandwidth) <= seconds a token: at a batch of one generating a token
//               reads every active weight once, and nothing else takes time (caches and
//               activations are not counted, so the true latency is above it)
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace rung {

struct Path {
  double training = unbounded, life = unbounded;  // FLOPs
  double inference_tokens = 0.0, max_tokens = unbounded;
  double cost = 6.0;                        // training FLOPs a parameter and token
  std::function<double(double)> routing{};  // further FLOPs a token of a model of N; empty: none
  double lo = 0.0, hi = 0.0;                // ln N
  std::string hi_limit{};                   // what holds N back; empty: the budget alone
  std::string data_limit{};                 // whose number max_tokens is

  double flops_per_token(double n) const { return cost * n + (routing ? routing(n) : 0.0); }
  double tokens(double log_n) const;
  // Those of a model of N whose training takes so many FLOPs a token.
  double tokens_at(double n, double each) const;
  bool data_limited(double log_n) const;  // the data, not the compute, hold D back
  // What holds D back there: max-tokens, unique-tokens, time or flops.
  std::string tokens_limit(double n, double each) const;
};

// Stored parameters of a model with so many active ones: experts multiply the feed-forward share.
double stored_parameters(double n, double experts, const ShapeOptions& shape);

// The path of a choice. `possible` is off where the limits leave less than one parameter. Usage
// error where neither compute nor limits bound N and D.
Path make_path(const PlanOptions& options, const Alternative& choice, double serve_bits,
               bool repeats);

// Usage error for values out of range and for options that need one another.
void check_options(const PlanOptions& options);

}  // namespace rung
