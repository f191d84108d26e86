#include "plan/knowledge.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "law/procedure.h"
#include "plan/shape_rule.h"

namespace rung {
namespace {

void check_fitted(const PlanSource& source) {
  const Fit& fit = source.fit();
  if (!fit.refused() && !fit.coefficients.empty()) return;
  std::string reasons;
  for (const Diagnostic& d : fit.diagnostics)
    if (d.severity == Severity::refusal)
      reasons += fmt::format("{}[{}] {}", reasons.empty() ? "" : " ", d.code, d.text);
  refuse("[plan] The fit {}was refused. Received {}", source.name.empty() ? "" : source.name + " ",
         reasons.empty() ? "no reason." : reasons);
}

// Reads size and data: two of N, D, C and M = D/N.
bool reads_both(const Fit& fit) {
  const bool n = reads(fit, "N"), d = reads(fit, "D"), c = reads(fit, "C"), m = reads(fit, "M");
  return n + d + c + m >= 2;
}

// Inputs that a plan can choose.
bool has_choice(const Fit& fit) {
  return reads(fit, "P_w") || reads(fit, "E") || reads(fit, "G");
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Files a fit (or a part of one) under what it knows; false: nothing.
bool file(const Fit& fit, const PlanSource& source, Knowledge& knowledge) {
  const std::string_view law = fit.law->name, target = fit.law->target;
  const Known known{&fit, &source};
  const auto keep = [&](Known& place) {
    if (place)
      knowledge.remarks.push_back(
          fmt::format("{} is not used: {} came first.", known.name(), place.name()));
    else
      place = known;
    return true;
  };
  if (target == "N_opt") return keep(knowledge.optimum);
  if (is_shape_law(*fit.law)) return keep(knowledge.shape);
  if (target == "Nv" || target == "L_u") return keep(knowledge.vocabulary);
  if (law == "ptq") return keep(knowledge.ptq);
  if (law == "k-bit") return keep(knowledge.k_bit);
  if (is_one_of(target, {"bs", "cbs", "B_noise"})) {
    knowledge.batches.push_back(known);
    return true;
  }
  if (is_one_of(target, {"lr", "lr_opt"})) {
    knowledge.rates.push_back(known);
    return true;
  }
  if (target == "L" && reads(fit, "N") && reads(fit, "E") && !reads(fit, "D"))
    return keep(knowledge.routing);
  if (target == "L" && reads_both(fit)) {
    // A law that also says what bits or experts are worth goes before one that does not.
    if (knowledge.loss && has_choice(fit) && !has_choice(*knowledge.loss.fit)) {
      knowledge.remarks.push_back(fmt::format("N and D come from {}, which knows more than {}.",
                                              known.name(), knowledge.loss.name()));
      knowledge.loss = known;
      return true;
    }
    return keep(knowledge.loss);
  }
  return is_one_of(target, {"D_opt", "L_opt", "Nnv", "H"});  // read beside another quantity
}

void fail_unusable(const PlanSource& source) {
  const Fit& fit = source.fit();
  if (fit.law->target != "L")
    fail_usage("[plan] {} gives {}, not a loss or anything else that a plan reads. Received {}.",
               fit.law->name, fit.law->target, source.name.empty() ? "a fit" : source.name);
  fail_usage(
      "[plan] {} does not read N and D, so it knows no trade-off between them. Received inputs {}. "
      "Fit a law of both, such as chinchilla.",
      fit.law->name, fmt::join(fit.inputs, ", "));
}

}  // namespace

std::string Known::name() const {
  const std::string law(fit->procedure ? fit->procedure->name : fit->law->name);
  return from->name.empty() ? law : fmt::format("{} ({})", from->name, law);
}

const Fit* quantity(const Fit& fit, std::string_view target) {
  if (fit.law->target == target) return &fit;
  for (const Fit& part : fit.parts)
    if (part.law->target == target) return &part;
  return nullptr;
}

bool reads(const Fit& fit, std::string_view input) {
  const auto& names = fit.law->inputs;
  return std::find(fit.inputs.begin(), fit.inputs.end(), input) != fit.inputs.end() ||
         std::find(names.begin(), names.end(), input) != names.end();
}

Knowledge sort_knowledge(std::span<const PlanSource> sources) {
  Knowledge knowledge;
  for (const PlanSource& source : sources) {
    check_fitted(source);
    bool useful = file(source.fit(), source, knowledge);
    for (const Fit& part : source.fit().parts)
      if (!part.refused() && !part.coefficients.empty()) useful |= file(part, source, knowledge);
    if (!useful) fail_unusable(source);
  }
  if (!knowledge.loss && !knowledge.optimum)
    fail_usage(
        "[plan] None of the fits gives a loss of N and D. Received {}. Add a fit of a law of both, "
        "such as chinchilla.",
        sources.empty() ? "no fit" : sources.front().fit().law->name);
  return knowledge;
}

}  // namespace rung
