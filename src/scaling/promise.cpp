#include "scaling/parametrisation.h"

namespace rung {

Promise promise_of(const RunConfig& config) {
  const Parametrisation& rule = find_parametrisation(config.parametrisation);
  Promise promise = rule.promise;
  const bool full = config.alignment.empty() ? promise.full_by_default : config.alignment == "full";
  // Under no alignment, or one rate for all, sizes hang on the alignment that training brings
  // about.
  promise.width = promise.width && full;
  // A matrix update has spectral norm 1 in blocks of every depth (conventions.cpp): L branches of
  // size L^-1/2 then add up to L^1/2.
  if (update_of(config.train.optimizer) == Update::matrix) {
    promise.depth = promise.depth && promise.block_step == 0.0;
    promise.block_step = 0.0;
  }
  // With heads of a fixed size q.k sums over the same number of terms at every width.
  if (config.model.head_dim > 0) promise.scores = 0.0;
  return promise;
}

}  // namespace rung
