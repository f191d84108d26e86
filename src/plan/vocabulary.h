// How many entries a model's vocabulary should have, from any of the three approaches of Tao et al.
// 2024, "Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies":
//   1  Nv = k F^alpha at the budget F                       (section 4.1)
//   2  Nv = Nv_0 (Nnv/Nnv_0)^gamma of the other parameters  (section 4.2)
//   3  the V at which L_u = -E + A1/Nnv^beta + A2/(V d)^alpha + B/D^beta is least under
//      F = 6 (Nnv + V d) D                                  (section 4.3)
// V = Nv/d with d the width. Rung's N counts the readout, so N = Nnv + V d.
#pragma once
#include "plan/knowledge.h"
#include "plan/plan.h"

namespace rung {

// Entries for a body of Nnv parameters at a budget F and a width, by coefficients `c` of the fit.
double best_vocabulary(const Fit& fit, const std::vector<double>& c, double body, double flops,
                       double width);

// For a model of N parameters in all and a width; the interval is over the fit's samples. The note
// gives the next multiple of 128 and says where the fit is extrapolated.
Advice advise_vocabulary(const Known& known, double n, double flops, double width, double level);

// V rounded up to what hardware likes.
int64_t padded_vocabulary(double entries);

}  // namespace rung
