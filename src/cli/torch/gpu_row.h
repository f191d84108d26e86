// What a GPU case measured, as JSON and as a line of a table.
#pragma once
#include <span>
#include <vector>

#include "cli/torch/gpu_side.h"

namespace rung {

struct GpuRow {
  std::vector<Round> ours, rivals;
  std::vector<double> ratios;  // by round where they took turns
  double build_seconds = 0.0, capture_seconds = 0.0, flops_per_token = 0.0, seconds = 0.0;
  double rival_flops_per_token = 0.0;  // where the rival is Rung's own
  int64_t memory = 0, rival_memory = 0;
  Json rival;  // PyTorch's answer to `prepare`; null without it

  double rate() const;
  double rival_rate() const;
  // Of tokens a second, or beside Rung's own of FLOP/s.
  double ratio() const;
};

// Means over the rounds in which the card's power could be read; null without any. `each` names the
// joules of one of what a round's rate counts.
Json power_json(std::span<const Round> rounds, const char* each = "joules_per_token");
// Watts and the clock by which the card keeps to its limit.
std::string power_text(const Json& power);

Json gpu_row_json(const GpuCase& c, const GpuRow& row, const Bench& bench);
TableRow gpu_head();
TableRow gpu_table_row(const Json& json);

}  // namespace rung
