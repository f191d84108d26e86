// What several fits know about a plan: one gives the loss, others say what a shape, a vocabulary,
// bits, experts, a batch or a learning rate is worth.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "law/forms.h"

namespace rung {

// A fit by the name that the plan calls it: its file.
struct PlanSource {
  std::string name;
  Forms forms;
  const Fit& fit() const { return forms.forms.at(forms.best).fit; }
};

// A quantity of a source.
struct Known {
  const Fit* fit = nullptr;
  const PlanSource* from = nullptr;
  explicit operator bool() const { return fit != nullptr; }
  std::string name() const;  // `fit.json (chinchilla)`
};

struct Knowledge {
  Known loss;                  // a law of N and D (and of bits, experts, granularity)
  Known optimum;               // instead of it laws of C: N_opt, D_opt, L_opt
  Known routing;               // loss of N and experts: what experts are worth in parameters
  Known ptq;                   // loss that rounding adds: N, D, P
  Known k_bit;                 // accuracy of N and bits
  Known shape;                 // width and depth
  Known vocabulary;            // Nv of Nnv or of F, or L_u of Nnv, Nv, D
  std::vector<Known> batches;  // bs, cbs, B_noise
  std::vector<Known> rates;    // lr, lr_opt
  std::vector<std::string> remarks;
};

// Refuses (exit status 3) with a refused fit's reasons. Usage errors: no source knows a loss of N
// and D; a source that knows nothing of a plan.
Knowledge sort_knowledge(std::span<const PlanSource> sources);

// The quantity of a procedure's fit, the fit itself included; null when it has none of that name.
const Fit* quantity(const Fit& fit, std::string_view target);

bool reads(const Fit& fit, std::string_view input);

}  // namespace rung
