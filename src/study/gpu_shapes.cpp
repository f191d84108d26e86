#include "study/gpu_shapes.h"

#include <algorithm>
#include <numeric>

#include "config/pattern.h"
#include "model/part.h"

namespace rung {

void suit_gpu(ClimbOptions& options, const ModelConfig& model) {
  int64_t largest = 256, multiple = 4;
  for (const std::string& name : mixers_by_layer(model)) {
    const Part& part = find_part(mixers(), "model.mixer", name);
    const int64_t inner = part.inner_heads ? model.ssm_expand : 1;
    largest = std::min(largest, part.largest_head / inner);
    multiple = std::lcm(multiple, std::max<int64_t>(1, part.head_multiple / inner));
  }
  options.largest_head = largest;
  options.width_step = options.heads * multiple;
  options.smallest_width = 2 * options.width_step;
  options.most_rungs = 10;
  options.reach = 12.0;
  options.spacing = 1.15;
  options.most_seeds = 8;
  options.sweep_seeds = 4;
  // On text of hundreds of MB half the CPU's batch trains lower in all sweeps, and its models learn
  // to copy at smaller sizes, so that large rungs scatter less (docs/climb.md).
  options.batch_coefficient = 0.34;
}

bool outgrows_heads(const ClimbOptions& options, int64_t width) {
  return options.largest_head > 0 && width > options.largest_head * options.heads;
}

ClimbOptions with_more_heads(ClimbOptions options) {
  options.heads *= 2;
  options.width_step *= 2;
  options.smallest_width *= 2;
  return options;
}

ClimbOptions with_heads_at(ClimbOptions options, int64_t width) {
  while (outgrows_heads(options, width) && width % (2 * options.width_step) == 0)
    options = with_more_heads(options);
  return options;
}

}  // namespace rung
