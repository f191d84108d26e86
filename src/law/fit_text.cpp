#include "law/fit_text.h"

#include <cmath>

#include "core/table.h"

namespace rung {

std::string fit_text(const Fit& fit) {
  std::string text = fmt::format("{}: {}\n", fit.law->name, fit.law->formula);
  for (size_t i = 0; i < fit.inputs.size(); ++i)
    if (fit.inputs[i] != fit.law->inputs[i])
      text += fmt::format("with {} = {}\n", fit.law->inputs[i], fit.inputs[i]);
  if (!fit.refused()) {
    std::vector<TableRow> rows;
    for (const Estimate& e : fit.coefficients)
      rows.push_back({e.name, fmt::format("{:.6g}", e.value),
                      e.fixed             ? "fixed"
                      : e.tied_to.empty() ? fmt::format("{:.3g}", e.se)
                                          : "= " + e.tied_to,
                      e.fixed ? "" : fmt::format("{:.6g}", e.lo),
                      e.fixed ? "" : fmt::format("{:.6g}", e.hi)});
    text +=
        "\n" +
        text_table({"", "value", "se", fmt::format("{:g} % from", 100 * fit.level), "to"}, rows);
    const bool logs = fit.objective.log_residual;
    text += fmt::format("\n{} {:.9g} on {} of {} rows, residual {:.3g}{} rms, {:.2f} s\n",
                        fit.objective.name, fit.objective_value, fit.points, fit.rows_read,
                        (logs ? 100 : 1) * fit.residual_rms, logs ? " %" : "", fit.seconds);
  } else {
    text += "\nrefused: the data do not determine this law\n";
  }
  const auto side = [](double end) {
    return std::isnan(end) ? std::string("open") : fmt::format("{:.6g}", end);
  };
  if (!fit.profiles.empty())
    text += fmt::format("{:g} % by profile likelihood:\n", 100 * fit.level);
  for (const Profile& p : fit.profiles)
    text += fmt::format("  {} from {} to {}\n", p.name, side(p.lo), side(p.hi));
  for (const Diagnostic& d : fit.diagnostics)
    text += fmt::format("{} [{}] {}\n", severity_name(d.severity), d.code, d.text);
  for (const Fit& part : fit.parts) text += "\n" + fit_text(part);
  return text;
}

std::string fit_text(const Forms& forms) {
  std::string text = fit_text(forms.forms.at(forms.best).fit);
  if (forms.forms.size() == 1) return text;
  text += "\n";
  std::vector<TableRow> rows;
  for (const Form& form : forms.forms)
    rows.push_back(
        {std::string(form.fit.law->name), fmt::format("{:.3f}", form.weight),
         std::isfinite(form.rollout_error) ? fmt::format("{:.3g}", form.rollout_error) : "-",
         form.fit.refused() ? "refused" : form.problem});
  text += text_table({"law", "weight", "rollout error", ""}, rows);
  return text + fmt::format("weighed by predicting the largest rungs in {} from the smaller ones\n",
                            forms.order);
}

}  // namespace rung
