// The coordinate check (Tensor Programs V, appendix D.1; alignment as in Everett et al. 2024,
// arXiv 2407.05872): whether outputs and their changes keep their size as the model grows.
// Populations of seeds train at every width and depth of a grid; on fixed held-out windows, slopes
// of log RMS over log width and log depth come with confidence intervals at several horizons, and
// each is judged against what the parametrisation promises.
#pragma once
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "train/run.h"

namespace rung {

struct CoordPlan {
  std::vector<int64_t> widths, depths;       // empty: the configuration's own
  std::vector<int64_t> horizons{1, 10, 50};  // optimizer steps after which to look; 0 is added
  int64_t seeds = 4, probe_tokens = 512;
  // Exponents of parametrisations are multiples of 1/2: what lies within half a step of the promise
  // is nearer to it than to any wrong one.
  double tolerance = 0.25;
  double level = 0.9;  // of the intervals
};

// What is measured, as RMS over outputs, positions and windows; NaN where it does not exist.
enum class Quantity {
  activation,  // the output A W x
  update,      // its change since step 0, by weights and input together
  change,      // A fan_in |W - W0|, a matrix's own change at full alignment with its input
  step,        // A (W - W0) x: what the tensor's own change adds to its output
  decay,       // -ln(share of W0 that is left) / steps, with weight decay alone
  alignment    // |dW x| / (|dW| |x|) of RMS values: fan_in^1 aligned, fan_in^1/2 not
};
constexpr std::array quantities = {Quantity::activation, Quantity::update, Quantity::change,
                                   Quantity::step,       Quantity::decay,  Quantity::alignment};
const char* quantity_name(Quantity quantity);

// One tensor kind (the same name in all blocks; `attention` for scores q.k, `stream` for the
// residual stream before the final norm) of one member at one time.
struct CoordSample {
  std::string tensor;
  int64_t width = 0, depth = 0, horizon = 0;
  uint64_t seed = 0;
  int64_t fan_in = 0;  // of a matrix
  std::array<double, quantities.size()> value{};
};

// pass: the interval reaches the tolerated band. fail: it does not. wide: it reaches the band, but
// is wider than the distance between right and wrong, so that it proves nothing. none: the rule
// promises nothing here.
enum class Verdict { none, pass, wide, fail };

struct CoordSlope {
  std::string tensor;
  Quantity quantity = Quantity::activation;
  std::string axis;  // width or depth
  int64_t horizon = 0;
  double slope = 0.0, lo = 0.0, hi = 0.0;
  std::optional<ExponentRange> promised;
  Verdict verdict = Verdict::none;
};

// Everett et al.'s log-alignment exponent of one tensor kind at the largest shape: ln of alignment
// over ln fan_in, mean over seeds and its interval.
struct CoordAlignment {
  std::string tensor;
  int64_t horizon = 0;
  double exponent = 0.0, lo = 0.0, hi = 0.0;
};

struct CoordResult {
  Promise promise;
  std::vector<CoordSample> samples;
  std::vector<CoordSlope> slopes;
  std::vector<CoordAlignment> alignment;
  std::vector<std::string> diverged;  // shapes in which a member diverged
  bool interrupted = false;
  bool promises() const { return promise.width || promise.depth; }
  int64_t count(Verdict verdict) const;
  // False where a promise is broken, or a member diverged under a rule that promises anything.
  bool pass() const;
};

// Fails (usage) on plans without a slope. `alter` changes the factors that the rule gave: how tests
// plant faults.
CoordResult check_coordinates(const RunConfig& config, const CoordPlan& plan,
                              std::shared_ptr<const TokenSource> source, const Machine& machine,
                              const RunHooks& hooks = {},
                              const std::function<void(Decoder&)>& alter = {});

// The populations that a check trains: one a shape, `seeds` members each.
std::vector<std::vector<RunConfig>> coord_populations(const RunConfig& config,
                                                      const CoordPlan& plan);

// Slopes of samples, not judged yet. The interval is the wider of two: by the scatter of the
// shapes' means about the line, and by that of the seeds' own slopes. The first also grows where
// the line bends, the second remains with two sizes alone.
std::vector<CoordSlope> fit_slopes(const std::vector<CoordSample>& samples, const CoordPlan& plan);

// What the rule promises of one slope; nothing where it says nothing.
std::optional<ExponentRange> promised(const Promise& promise, const RunConfig& config,
                                      const CoordSlope& slope);
void judge(CoordSlope& slope, double tolerance);

Json to_json(const CoordResult& result, const CoordPlan& plan);

}  // namespace rung
