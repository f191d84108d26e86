// One contender's loss over what is spent on training it, along its own path: the law of its climb
// with what the climb leaves open as draws, and how long a run takes.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "study/forecast.h"
#include "study/rungs.h"

namespace rung {

struct Contender {
  std::string name;
  std::vector<RunRecord> runs;  // ladder and, where trained, the target; finite losses
  // How far the climb's own prediction was off beyond its seeds' noise: in ln L, for each unit of
  // ln N from the ladder to the target.
  double missed = 0.0;
};

struct LossCurve {
  std::vector<double> loss;                // at each point asked for
  std::vector<std::vector<double>> draws;  // [draw][point], of the mean loss: no seed's noise
};

// A path in logarithms: N and seconds of one run over C. Between rungs straight lines in ln, beyond
// them N goes on as at the end and the rate of the largest run holds.
class SpentPath {
 public:
  // `timed`: single runs whose seconds are taken instead, where there are any.
  explicit SpentPath(std::span<const RunRecord> runs, std::span<const RunRecord> timed = {});
  double N_at(double flops) const;
  double seconds_at(double flops) const;
  double flops_in(double seconds) const;
  double least() const { return std::exp(c_.front()); }  // C of the smallest rung
  double most() const { return std::exp(c_.back()); }    // and of the largest run

 private:
  std::vector<double> c_, n_;           // ln C, ln N, ascending
  std::vector<double> timed_c_, rate_;  // ln C, ln(C / seconds)
};

// The law fitted to all of the contender's runs, at `N`. Draws take a candidate by its weight, its
// coefficients from the bootstrap, by how much the law misses the runs of that size, and beyond the
// largest run what rollout and the climb's own prediction missed, which grows with ln N. Refuses
// (exit 3) as forecast does.
LossCurve loss_curve(const Contender& contender, std::span<const double> N,
                     const ForecastOptions& options, int64_t draws = 2000);

}  // namespace rung
