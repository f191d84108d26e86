#include <algorithm>
#include <cmath>

#include "core/record.h"
#include "report/html.h"
#include "report/sections.h"

namespace rung {
namespace {

struct Outcome {
  double loss = NAN, lo = NAN, hi = NAN, level = 0.9;
  std::optional<Measured> measured;
  bool predicted() const { return std::isfinite(loss); }
  double error() const { return measured ? loss / measured->loss - 1 : NAN; }
  bool inside() const { return measured && measured->loss >= lo && measured->loss <= hi; }
};

Outcome outcome_of(const ClimbFiles& files) {
  const auto& p = files.prediction;
  Outcome o{number_at(p, "loss"), number_at(p, "lo"), number_at(p, "hi")};
  if (std::isfinite(number_at(p, "level"))) o.level = number_at(p, "level");
  o.measured = measured_target(files);
  return o;
}

std::string badge(const ClimbFiles& files) {
  if (files.running())
    return fmt::format("<span class=\"badge run\">running: {}</span>",
                       escape_html(files.stage.empty() ? "starting" : files.stage));
  const auto status = files.status.empty() ? std::string() : files.status;
  if (status.empty()) return {};
  const char* kind = status == "done" ? "good" : status == "predicted" ? "run" : "bad";
  return fmt::format("<span class=\"badge {}\">{}</span>", kind, escape_html(status));
}

std::string target_text(const ClimbFiles& files) {
  const auto& p = files.prediction;
  std::string text = fmt::format("{} parameters on {} tokens", show_count(number_at(p, "target/N")),
                                 show_count(number_at(p, "target/D")));
  const double ahead = number_at(p, "target/C") / largest_run_flops(files);
  if (std::isfinite(ahead))
    text +=
        fmt::format(", {} times the compute of the largest run before it", show_number(ahead, 3));
  return text;
}

// Losses that a later measurement of the same target has replaced.
std::string earlier_measurements(const ClimbFiles& files) {
  std::vector<std::string> losses;
  for (const auto& event : files.log)
    if (text_at(event, "event") == "end" && event.contains("measured"))
      losses.push_back(show_loss(number_at(event, "measured/loss")));
  if (losses.empty()) return {};
  const std::string last = losses.back();
  std::erase(losses, last);  // a climb that is resumed when it has ended says its own again
  return fmt::format("{}", fmt::join(losses, ", "));
}

std::string sentence(const ClimbFiles& files, const Outcome& o) {
  if (!o.predicted()) {
    const size_t runs = files.runs.size();
    if (runs == 0) return "<p class=\"lead\">No run has finished yet.</p>";
    return fmt::format("<p class=\"lead\">{} {} finished; the prediction is still to come.</p>",
                       runs, runs == 1 ? "run has" : "runs have");
  }
  std::string text = fmt::format(
      "<p class=\"lead\">Predicted before training: a model of {} will reach <b>{}</b> nats per "
      "token.",
      target_text(files), show_loss(o.loss));
  if (o.measured) {
    const double error = o.error();
    text += fmt::format(
        " It reached <b>{}</b>: the prediction was {:.2f} % too {}, and the measurement lies "
        "<b>{}</b> the {:.0f} % interval.",
        show_loss(o.measured->loss), 100 * std::fabs(error), error < 0 ? "low" : "high",
        o.inside() ? "inside" : "outside", 100 * o.level);
  } else {
    text += " The target has not been measured yet.";
  }
  if (const std::string earlier = earlier_measurements(files); !earlier.empty())
    text += " Measured before this: " + earlier + ".";
  return text + "</p>";
}

std::string stat(std::string_view name, const std::string& value, const std::string& below,
                 std::string_view kind = "") {
  return fmt::format(
      "<div class=\"stat {}\"><span>{}</span><strong>{}</strong><small>{}</small></div>", kind,
      name, value, below);
}

std::string stats(const ClimbFiles& files, const Outcome& o) {
  if (!o.predicted()) return {};
  std::string html = "<div class=\"stats\">";
  html += stat("Predicted", show_loss(o.loss),
               fmt::format("{:.0f} %: {} to {}", 100 * o.level, show_loss(o.lo), show_loss(o.hi)),
               "prediction");
  if (o.measured) {
    html += stat("Measured", show_loss(o.measured->loss),
                 fmt::format("± {} held-out sampling", show_loss(o.measured->se)), "target");
    html += stat("Relative error", show_percent(o.error()),
                 o.inside() ? "inside the interval" : "outside the interval",
                 o.inside() ? "good" : "bad");
  }
  const double ahead = number_at(files.prediction, "target/C") / largest_run_flops(files);
  if (std::isfinite(ahead))
    html += stat("Extrapolation", fmt::format("{}×", show_number(ahead, 3)),
                 show_flops(number_at(files.prediction, "target/C")) + " FLOPs");
  return html + "</div>";
}

// The interval as a strip: where the prediction and the measurement lie in it.
std::string strip(const Outcome& o) {
  if (!std::isfinite(o.lo) || !std::isfinite(o.hi) || o.hi <= o.lo) return {};
  double from = o.lo, to = o.hi;
  if (o.measured) from = std::min(from, o.measured->loss), to = std::max(to, o.measured->loss);
  const double margin = 0.12 * (to - from);
  const auto place = [&](double x) { return 100 * (x - from + margin) / (to - from + 2 * margin); };
  std::string html = fmt::format(
      "<div class=\"strip\" aria-hidden=\"true\"><i class=\"range\" "
      "style=\"left:{0:.2f}%;width:{1:.2f}%\"></i>"
      "<i class=\"mark prediction\" style=\"left:{2:.2f}%\"></i>",
      place(o.lo), place(o.hi) - place(o.lo), place(o.loss));
  if (o.measured)
    html += fmt::format("<i class=\"mark target\" style=\"left:{:.2f}%\"></i>",
                        place(o.measured->loss));
  html += fmt::format("<b style=\"left:{:.2f}%\">{}</b><b style=\"left:{:.2f}%\">{}</b></div>",
                      place(o.lo), show_loss(o.lo), place(o.hi), show_loss(o.hi));
  return html;
}

// What the log says about the order of things: the hash of prediction.json stands before the
// target's first step.
std::string proof(const ClimbFiles& files) {
  if (files.prediction_sha256.empty()) return {};
  const auto recorded = recorded_hash(files.log);
  if (!recorded) return {};
  const bool same = files.prediction_sha256 == *recorded;
  return fmt::format(
      "<p class=\"proof {}\">prediction.json <code>{}…</code> {}</p>", same ? "good" : "bad",
      files.prediction_sha256.substr(0, 16),
      same ? "carries the hash that was logged before the target's first step."
           : "does <b>not</b> carry the hash that was logged: it was changed afterwards.");
}

}  // namespace

std::string headline_section(const ClimbFiles& files) {
  const auto o = outcome_of(files);
  auto name = std::filesystem::absolute(files.folder).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();
  std::string html =
      fmt::format("<header><div class=\"brand\">Rung <span>climb report</span> {}</div><h1>{}</h1>",
                  badge(files), escape_html(name.filename().string()));
  html += sentence(files, o) + stats(files, o) + strip(o) + proof(files);
  for (const auto& note : files.notes)
    html += "<p class=\"proof bad\">" + escape_html(note) + "</p>";
  return html + "</header>\n";
}

}  // namespace rung
