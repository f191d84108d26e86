// How often the coordinate check finds planted faults and leaves right rules alone, over seeds and
// widths. Usage: coord_cases [SEED_SETS] [BASE_WIDTH]; a set is 4 fresh seeds.
#include "study/coord_cases.h"

#include <cstdio>
#include <cstdlib>

using namespace rung;
using namespace rung::test;

namespace {

// The failed slope that lies farthest from its promise.
std::string strongest(const CoordResult& result) {
  if (!result.diverged.empty()) return result.diverged.front() + " diverged";
  const CoordSlope* worst = nullptr;
  const auto distance = [](const CoordSlope& s) {
    return std::max(s.lo - s.promised->hi, s.promised->lo - s.hi);
  };
  for (const CoordSlope& s : result.slopes)
    if (s.verdict == Verdict::fail && (!worst || distance(s) > distance(*worst))) worst = &s;
  if (!worst) return "";
  return fmt::format("{} of {} at step {}: {}^{:+.2f}, promised {:g} to {:g}",
                     quantity_name(worst->quantity), worst->tensor, worst->horizon, worst->axis,
                     worst->slope, worst->promised->lo, worst->promised->hi);
}

void run_all(const char* title, const std::vector<CoordCase>& cases, int sets, int64_t base_width) {
  int flagged = 0, wide = 0, judged = 0;
  std::vector<double> halves;
  std::printf("%s\n", title);
  for (const CoordCase& c : cases) {
    int own = 0;
    std::string why;
    for (int set = 0; set < sets; ++set) {
      const CoordResult result =
          run_case(c, {.base_width = base_width, .seed = 1 + 1000 * static_cast<uint64_t>(set)});
      if (!result.pass()) {
        ++own;
        why = strongest(result);
      }
      wide += static_cast<int>(result.count(Verdict::wide));
      for (const CoordSlope& s : result.slopes)
        if (s.verdict != Verdict::none) ++judged, halves.push_back(0.5 * (s.hi - s.lo));
    }
    flagged += own;
    std::printf("  %d/%d  %-50s %s\n", own, sets, c.name, why.c_str());
    std::fflush(stdout);
  }
  std::sort(halves.begin(), halves.end());
  const auto at = [&](double share) {
    return halves[static_cast<size_t>(share * static_cast<double>(halves.size() - 1))];
  };
  std::printf(
      "  flagged %d of %d; %d of %d intervals too wide; half-width median %.3f, 90 %% %.3f\n",
      flagged, sets * static_cast<int>(cases.size()), wide, judged, at(0.5), at(0.9));
}

}  // namespace

int main(int argc, char** argv) {
  const int sets = argc > 1 ? std::atoi(argv[1]) : 1;
  const int64_t base_width = argc > 2 ? std::atoi(argv[2]) : 16;
  run_all("planted faults", planted_faults(), sets, base_width);
  run_all("right rules", right_rules(), sets, base_width);
  return 0;
}
