// Ways to spend a sweep's runs where the full product of many settings is too dear.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "config/resolve.h"
#include "study/sweep.h"

namespace rung {

// Trains the members of one stage; records in their order. Interrupted results end a search.
using TrainStage =
    std::function<StudyResult(const std::string& stage, std::span<const RunConfig> members)>;

// What a search trained, stage after stage, and the best point: the lowest mean loss over seeds, a
// diverged seed losing its point, of those trained to full length.
struct SearchOutcome {
  std::vector<RunConfig> members;
  std::vector<RunRecord> records;
  RunConfig winner;
  double loss = 0.0;   // of the winner; NaN when nothing finished
  int64_t points = 0;  // settings that were trained, over all stages
  double seconds = 0.0;
  bool interrupted = false;
};

// `points` settings, each with every seed of `seeds` (configurations that differ in seed alone): a
// positive number that is not whole is drawn log-uniformly between the ends of its list, every
// other value from the list.
std::vector<RunConfig> random_points(std::span<const RunConfig> seeds,
                                     std::span<const Setting> over, int64_t points, uint64_t seed);

// Independent search (u-muP, arXiv 2407.17465, section 5): the line of learning rates, then a line
// of every other key at the best rate, then the best of all together. Needs train.lr among `over`.
SearchOutcome independent_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                                 const TrainStage& train);

// Successive halving (Jamieson & Talwalkar 2016): random points trained to train.tokens / 2^k, half
// of them to twice that, and so on; the last ones to train.tokens. Rounds start anew, as schedules
// end with their run.
SearchOutcome halving_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                             int64_t points, uint64_t seed, const TrainStage& train);

// Bayesian search (Snoek et al. 2012): a Gaussian process over log2 of the continuous keys and
// places in the lists of the others; the first quarter of the points is drawn at random, the rest
// in batches of a quarter by expected improvement, each batch's points taken at the process's mean.
SearchOutcome bayesian_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                              int64_t points, uint64_t seed, const TrainStage& train);

}  // namespace rung
