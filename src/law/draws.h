// What a bootstrap sample is drawn from: rows, blocks of a learning curve's rows, or noise around
// the fitted law, and the priors with them.
#pragma once
#include <vector>

#include "core/random.h"
#include "law/problem.h"

namespace rung {

// Rows beyond the free coefficients, at least 1.
double degrees_of_freedom(const Problem& problem);

// Rows, or whole clusters of rows, drawn with replacement, as multiplicities on the distinct ones.
Observations draw_rows(const Observations& data, const std::vector<int>& cluster, Random& random);

// Rows drawn in blocks of consecutive rows of one run, about the root of its rows long: the misfit
// of a learning curve goes on from row to row. Runs keep their number of rows.
Observations draw_blocks(const Observations& data, int run_input, Random& random);

// What drawing blocks within runs leaves out of the variance: a run of b blocks loses one to its
// own mean, and the fit's free coefficients take rows. Source: Davison & Hinkley 1997, "Bootstrap
// Methods and their Application", section 2.3 for strata and section 8.2 for blocks.
double block_widening(const Problem& problem);

// Measurements that the fitted law would have given, with noise of an uncertain scale (scaled
// inverse chi-square).
Observations draw_noise(const Problem& problem, const std::vector<double>& prediction,
                        const std::vector<double>& noise, double factor, Random& random);

// A prior is one more observation of its coefficient, so a sample draws it anew as well. Held at
// its mean it would pull every refit once more towards where it has already pulled the fit:
// intervals beside the estimate, and too narrow. Measurements drawn from the law bring no pull of
// their own and their prior is centred at the estimate; drawn rows bring the data's.
void draw_priors(Problem& resampled, const Vector& theta, bool from_law, Random& random);

}  // namespace rung
