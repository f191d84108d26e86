// What `rung plan --out` writes, cut to what a page reads.
#pragma once
#include "core/json.h"

namespace rung::fixture {

inline Json plan_json() {
  return Json::parse(R"json({
    "status": "planned", "N": 2.0e9, "D": 8.0e10, "C": 9.6e20, "loss": 2.31, "lo": 2.28,
    "hi": 2.34, "level": 0.9, "source": "fit.json (chinchilla)", "seconds": 86400,
    "intervals": {"N": {"lo": 1.7e9, "hi": 2.4e9}, "D": {"lo": 7.0e10, "hi": 9.4e10}},
    "flat": {"within": 0.005, "N": {"lo": 1.1e9, "hi": 3.9e9}, "D": {"lo": 4e10, "hi": 1.5e11}},
    "limits": ["memory"], "extrapolation": {"C": 7.718, "N": 2.2, "D/N": 0.02}, "unknown": ["batch"], "remarks": ["beware of <this>"],
    "shapes": [{"width": 2048, "depth": 37, "heads": 16, "head_size": 128, "N": 2.02e9,
                "D": 7.9e10, "loss": 2.3101, "excess": 4e-5, "seconds": 86000, "memory": 3.2e10}],
    "aspect": {"name": "width/depth", "value": 55.0, "lo": 50.0, "hi": 60.0, "source": "a rule"},
    "batch": [], "lr": [{"name": "lr", "value": 1e-3, "lo": 9e-4, "hi": 1.1e-3,
                         "source": "step.json", "note": ""}],
    "basin": [{"N": 1e9, "D": 1.6e11, "loss": 2.33, "lo": 2.30, "hi": 2.36},
              {"N": 2e9, "D": 8e10, "loss": 2.31, "lo": 2.28, "hi": 2.34}],
    "choice": {"bits": 8, "experts": null, "granularity": null, "accuracy": null,
               "source": "bits.json"},
    "alternatives": [
      {"bits": 4, "possible": true, "N": 3e9, "N_total": 3e9, "D": 5e10, "loss": 2.4,
       "support": 0.1},
      {"bits": 16, "possible": false}],
    "design": {"runs": [{"N": 5e8, "D": 1e10, "flops": 3e19, "variance_removed": 0.4,
                         "deviation_left": 0.77}],
               "before": {"lo": 2.28, "hi": 2.34}, "after": {"lo": 2.29, "hi": 2.33},
               "flops": 3e19}})json");
}

}  // namespace rung::fixture
