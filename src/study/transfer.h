// Whether hyperparameters carry over: how the best learning rate moves along another swept key,
// what it costs to keep the smallest model's, and how much room the optimum leaves.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/json.h"
#include "study/lr_rule.h"
#include "study/runs_csv.h"

namespace rung {

// One value of the key: losses over the learning rates, averaged over seeds.
struct TransferPoint {
  double value = 0.0;  // of the key, such as 64 for model.width
  BowlFit bowl;        // of the means
  double se = 0.0;     // of bowl.log2_lr: over seeds, or the bowl's own with one seed
  // Mean over the swept rates of L - L* (the LR sensitivity of Wortsman et al. 2023; rates that
  // diverged have no loss and are left out).
  double sensitivity = 0.0;
  double slack = 0.0;    // decades of learning rate within 1 % of the best loss
  double penalty = 0.0;  // relative loss above the best when it takes the first value's optimum
};

// d log2 lr* / d log2 key, with its 90 % interval: of the seeds' own slopes (Student's t), or from
// the bowls' standard errors where there is one seed.
struct Transfer {
  std::string key, where;             // `where`: other swept keys' values, empty without any
  std::vector<TransferPoint> points;  // ascending in value
  double drift = 0.0, lo = 0.0, hi = 0.0;
  int64_t seeds = 1;
  // Loss lost when the learning rate is chosen at a wrong value of the key, mean over wrong values,
  // relative to the best loss (u-muP, arXiv 2407.17465, "transfer error").
  double transfer_error = 0.0;
};

// One for each numeric key beside the learning rate that has two or more values with three or more
// rates each; `members` in the order of records.
std::vector<Transfer> transfers(std::span<const RunConfig> members,
                                std::span<const RunRecord> records,
                                std::span<const std::string> keys);

// Mean over the rows i other than that of the smallest loss of L(i*, argmin_t L(i, t)) - L(i*, t*).
// Entries that are not finite count as infinite. `losses` [rows][columns].
double transfer_error(const std::vector<std::vector<double>>& losses);

Json to_json(const Transfer& transfer);
// A line a value of the key and one of the drift.
std::string transfer_text(const Transfer& transfer);

}  // namespace rung
