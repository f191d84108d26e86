// Loss curves from the logs of a climb's runs.
#pragma once
#include <utility>
#include <vector>

namespace rung {

struct ClimbFiles;

// Fills files.curves from runs/*/log.jsonl and target/log.jsonl.
void read_curves(ClimbFiles& files);

// Means over buckets of equal width in ln x, at most `buckets` of them; x must be positive, values
// finite.
std::vector<std::pair<double, double>> thin_curve(
    const std::vector<std::pair<double, double>>& points, int buckets);

}  // namespace rung
