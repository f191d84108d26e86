// A climb's budget: wall time or compute.
#pragma once
#include <string>

namespace rung {

struct Budget {
  double seconds = 0.0, flops = 0.0;  // one of them
};

// `90s`, `4min`, `1h`, `2d`, `1e15flop`. Fails (usage) on anything else.
Budget parse_budget(const std::string& text);

}  // namespace rung
