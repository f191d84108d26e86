#include "cli/plan_text.h"

#include <algorithm>
#include <cmath>

#include "core/progress.h"
#include "core/table.h"
#include "law/predict.h"
#include "plan/devices.h"

namespace rung {
namespace {

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

std::string bytes(double value) {
  return std::isfinite(value) ? short_amount(value, "B") : "-";
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  return seconds < 1.0 ? fmt::format("{:.3g} ms", 1e3 * seconds) : time_text(seconds);
}

std::string headline(const Plan& plan, const PlanOptions& options) {
  const std::string percent = fmt::format("{:g} %", 100 * options.level);
  std::string text =
      text_table({"", plan.given ? "given" : "best", percent + " from", "to",
                  fmt::format("within {:g} % from", 100 * options.flat), "to"},
                 {{"N", number(plan.N), number(plan.N_interval.min), number(plan.N_interval.max),
                   number(plan.flat_N.min), number(plan.flat_N.max)},
                  {"D", number(plan.D), number(plan.D_interval.min), number(plan.D_interval.max),
                   number(plan.flat_D.min), number(plan.flat_D.max)}});
  const Prediction& p = plan.prediction;
  text += fmt::format("\nloss {:.4f}, {} interval {:.4f} to {:.4f}; D/N {:.3g}; C {:.4g} FLOPs",
                      p.loss, percent, p.lo, p.hi, plan.D / plan.N, plan.C);
  if (plan.inference_flops > 0.0)
    text += fmt::format(" and inference {:.4g} FLOPs", plan.inference_flops);
  text += fmt::format("\nmemory: training {}, weights when serving {}", bytes(plan.memory),
                      bytes(plan.inference_memory));
  if (std::isfinite(plan.seconds)) text += "; training time " + duration(plan.seconds);
  if (std::isfinite(plan.latency)) text += "; a token takes at least " + duration(plan.latency);
  text += "\nfrom " + plan.source + "\n";
  for (const std::string& limit : plan.limits) text += "limited by " + limit + "\n";
  if (plan.given) {
    const Given& g = *plan.given;
    text += fmt::format("the best is N {}, D {}, loss {:.4f}: the given size loses {:.3g} %",
                        number(g.best_N), number(g.best_D), g.best_loss, 100 * g.excess);
    if (std::isfinite(g.flops_share))
      text += fmt::format(", which the best size reaches with {:.3g} % of the FLOPs",
                          100 * g.flops_share);
    text += "\n";
  }
  return text;
}

std::string alternatives(const Plan& plan) {
  if (plan.alternatives.size() < 2) return {};
  const bool bits = plan.choice.bits > 0.0, experts = plan.choice.experts > 0.0,
             granularity = plan.choice.granularity > 0.0,
             accuracy = std::isfinite(plan.choice.accuracy);
  TableRow head;
  if (bits) head.push_back("bits");
  if (experts) head.push_back("experts");
  if (granularity) head.push_back("granularity");
  for (const char* name : {"N", "stored", "D", "loss"}) head.push_back(name);
  if (accuracy) head.push_back("accuracy");
  head.push_back("best in");
  std::vector<TableRow> rows;
  for (const Alternative& a : plan.alternatives) {
    TableRow row;
    if (bits) row.push_back(number(a.bits));
    if (experts) row.push_back(number(a.experts));
    if (granularity) row.push_back(number(a.granularity));
    if (!a.possible) {
      row.push_back("too large");
      rows.push_back(row);
      continue;
    }
    row.insert(row.end(),
               {number(a.N), number(a.N_total), number(a.D), fmt::format("{:.4f}", a.loss)});
    if (accuracy) row.push_back(fmt::format("{:.4f}", a.accuracy));
    row.push_back(std::isfinite(a.support) ? fmt::format("{:.0f} %", 100 * a.support) : "-");
    rows.push_back(row);
  }
  std::string text = "\nchosen:";
  if (bits) text += fmt::format(" {:g} bits", plan.choice.bits);
  if (experts) text += fmt::format(" {:g} experts", plan.choice.experts);
  if (granularity) text += fmt::format(" granularity {:g}", plan.choice.granularity);
  return text + ", from " + plan.choice_source + "\n" + text_table(head, rows);
}

std::string shapes(const Plan& plan) {
  if (plan.shapes.empty()) return {};
  const bool timed = std::any_of(plan.shapes.begin(), plan.shapes.end(),
                                 [](const auto& c) { return std::isfinite(c.seconds); });
  TableRow head = {"width x depth", "heads", "N", "D", "loss", "over the best", "memory"};
  if (timed) head.push_back("time");
  std::vector<TableRow> rows;
  for (const ShapeCandidate& c : plan.shapes) {
    rows.push_back({fmt::format("{} x {}", c.shape.width, c.shape.depth),
                    fmt::format("{} x {}", c.shape.heads, c.shape.head_size), number(c.shape.N),
                    number(c.D), fmt::format("{:.4f}", c.loss),
                    fmt::format("{:+.3f} %", 100 * c.excess), bytes(c.memory)});
    if (timed) rows.back().push_back(duration(c.seconds));
  }
  std::string text = "\n" + text_table(head, rows);
  if (plan.aspect)
    text += fmt::format("width/depth {:.3g}{} preferred, from {}\n", plan.aspect->value,
                        plan.aspect->lo < plan.aspect->hi
                            ? fmt::format(" ({:.3g} to {:.3g})", plan.aspect->lo, plan.aspect->hi)
                            : "",
                        plan.aspect->source);
  return text;
}

std::string advice(const Plan& plan) {
  std::vector<TableRow> rows;
  const auto add = [&](const Advice& a) {
    rows.push_back({a.name, fmt::format("{:.4g}", a.value), fmt::format("{:.4g}", a.lo),
                    fmt::format("{:.4g}", a.hi), a.source, a.note});
  };
  if (plan.vocabulary) add(*plan.vocabulary);
  for (const Advice& a : plan.batch) add(a);
  for (const Advice& a : plan.lr) add(a);
  return rows.empty() ? "" : "\n" + text_table({"", "value", "from", "to", "by", ""}, rows);
}

}  // namespace

std::string plan_text(const Plan& plan, const PlanOptions& options) {
  std::string text = headline(plan, options) + alternatives(plan) + shapes(plan) + advice(plan);
  if (!plan.unknown.empty())
    text +=
        fmt::format("\nunknown, as no fit given covers it: {}\n", fmt::join(plan.unknown, ", "));
  for (const std::string& remark : plan.remarks) text += remark + "\n";
  return text + place_text(plan.prediction);
}

std::string design_text(const Design& design, const DesignOptions& options, double rate) {
  std::vector<TableRow> rows;
  for (const DesignRun& run : design.runs) {
    const auto at = [&](const char* name) {
      const auto found = run.at.find(name);
      return found == run.at.end() ? std::string("-") : number(found->second);
    };
    rows.push_back({fmt::format("{}", rows.size() + 1), at("N"), at("D"), number(run.flops),
                    fmt::format("{:.1f} %", 100 * run.share), fmt::format("{:.3f}", run.sd)});
  }
  std::string text =
      fmt::format("\nnext runs, of {} candidates, {}\n", design.candidates,
                  options.criterion == Criterion::target ? "for the loss at the target"
                                                         : "for all coefficients (D-optimal)");
  text += text_table({"", "N", "D", "FLOPs", "variance removed", "deviation left"}, rows);
  text += fmt::format(
      "law at the target {:.4f}: {:g} % interval {:.4f} to {:.4f} before, {:.4f} to {:.4f} after; "
      "{:.4g} FLOPs in all{}\n",
      design.loss, 100 * options.level, design.before.min, design.before.max, design.after.min,
      design.after.max, design.flops,
      rate > 0.0 ? ", " + duration(design.flops / rate) : std::string());
  for (const std::string& remark : design.remarks) text += remark + "\n";
  return text;
}

}  // namespace rung
