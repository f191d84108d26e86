#include "report/sections.h"

#include <cmath>

#include "report/charts.h"
#include "report/commands.h"
#include "report/html.h"

namespace rung {
namespace {

// A value of unknown kind, shown as people would write it.
std::string show_value(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number()) return show_number(value.get<double>(), 5);
  if (value.is_string()) return value == "" ? "none" : escape_html(value.get<std::string>());
  if (value.is_null()) return "–";
  if (!value.is_array() && !value.is_object()) return escape_html(value.dump());
  std::string text;
  for (const auto& [key, part] : value.items()) {
    if (!text.empty()) text += value.is_object() ? "; " : ", ";
    text += value.is_object() ? escape_html(key) + ": " + show_value(part) : show_value(part);
  }
  return text.empty() ? "none" : text;
}

std::string words(std::string key) {
  for (char& c : key)
    if (c == '_' || c == '-') c = ' ';
  return escape_html(key);
}

std::string details(std::string_view summary, const std::string& content, bool open) {
  return fmt::format("<details{}><summary>{}</summary>{}</details>\n", open ? " open" : "", summary,
                     content);
}

// A procedure fits its laws to what it made of the runs.
std::string points_name(const Json& fit) {
  const double rows = number_at(fit, "derivation/rows");
  return std::isfinite(rows) ? fmt::format("points derived from {} rows", show_number(rows, 6))
                             : "runs";
}

// Of a fit, or of a part whose name goes before.
std::string diagnostic_items(const Json& fit, const std::string& name) {
  std::string html;
  for (const auto& d : fit.value("diagnostics", Json::array()))
    html +=
        fmt::format("<li><span class=\"badge {0}\">{0}</span> <code>{1}</code> {2}{3}</li>",
                    escape_html(text_at(d, "severity", "note")), escape_html(text_at(d, "code")),
                    escape_html(name), escape_html(text_at(d, "text")));
  return html;
}

std::vector<TableRow> checklist_rows(const Json& fit, const std::string& name) {
  const Json checklist = fit.value("checklist", Json::object());
  std::vector<TableRow> rows;
  for (const auto& [key, value] : checklist.items())
    rows.push_back({escape_html(name) + words(key), show_value(value)});
  return rows;
}

}  // namespace

std::string law_section(const ClimbFiles& files) {
  if (!files.fit.is_object() || !files.fit.contains("coefficients")) return {};
  std::vector<TableRow> rows;
  for (const auto& [name, c] : files.fit["coefficients"].items()) {
    const auto number = [&](const char* key) {
      return show_number(
          c.is_number() ? (key[0] == 'v' ? c.get<double>() : NAN) : number_at(c, key), 5);
    };
    rows.push_back({"<i>" + escape_html(name) + "</i>", number("value"), number("se"), number("lo"),
                    number("hi")});
  }
  std::string html = "<p>Law <code>" + escape_html(text_at(files.fit, "law")) + "</code>";
  if (const auto formula = text_at(files.fit, "formula"); !formula.empty())
    html += ": <code>" + escape_html(formula) + "</code>";
  if (const auto x = text_at(files.fit, "checklist/form/variables/x"); !x.empty())
    html += " with x = <i>" + escape_html(x) + "</i>";
  if (std::isfinite(number_at(files.fit, "points")))
    html += fmt::format(", {}fitted to {} {}", rows.empty() ? "not " : "",
                        show_number(number_at(files.fit, "points"), 6), points_name(files.fit));
  if (const auto objective = text_at(files.fit, "objective/name"); !objective.empty())
    html += fmt::format(" with objective <code>{}</code>", escape_html(objective));
  const double level = number_at(files.fit, "level");
  const std::string from =
      std::isfinite(level) ? fmt::format("{:g} % from", 100 * level) : std::string("from");
  if (rows.empty()) return html + ".</p>\n";
  html += ".</p>\n" + html_table({"coefficient", "value", "se", from, "to"}, rows,
                                 {false, true, true, true, true});
  return html;
}

std::string checks_section(const ClimbFiles& files) {
  const Json& fit = files.fit;
  if (!fit.is_object()) return {};
  std::string notes = diagnostic_items(fit, "");
  std::vector<TableRow> rows = checklist_rows(fit, "");
  const bool own = !rows.empty();  // a chain of laws has only its links' checklists
  for (const Json& part : fit.value("parts", Json::array())) {
    const std::string law = text_at(part, "law"), name = law.substr(law.find('.') + 1) + ": ";
    notes += diagnostic_items(part, name);
    if (own) continue;
    const std::vector<TableRow> more = checklist_rows(part, name);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  if (!notes.empty()) notes = "<ul class=\"notes\">" + notes + "</ul>\n";
  if (rows.empty()) return notes;
  return notes + html_table({"(Mis)Fitting checklist", "answer"}, rows, {});
}

std::string runs_section(const ClimbFiles& files) {
  const TableRow head = {"run",   "kind", "shape", "N",         "D",    "FLOPs", "LR",
                         "batch", "loss", "± se",  "bits/byte", "time", "status"};
  const std::vector<bool> numeric = {false, false, true, true, true, true, true,
                                     true,  true,  true, true, true, false};
  std::map<std::string, int> members;
  for (const auto& r : files.runs) ++members[r.run];
  const auto rows_of = [&](bool sweep) {
    std::vector<TableRow> rows;
    for (const auto& r : files.runs) {
      if ((r.kind == "sweep") != sweep) continue;
      rows.push_back({escape_html(r.run + (members[r.run] > 1 ? " #" + r.member : "")),
                      escape_html(r.kind) + (r.used ? "" : ", not fitted"),
                      show_number(r.width) + " × " + show_number(r.depth), show_count(r.N),
                      show_count(r.D), show_flops(r.C), show_number(r.lr, 3),
                      show_number(r.batch_tokens, 8), show_loss(r.loss), show_loss(r.loss_se),
                      show_loss(r.bits_per_byte), show_seconds(r.seconds), escape_html(r.status)});
    }
    return rows;
  };
  const auto main = rows_of(false), sweep = rows_of(true);
  std::string html;
  if (!main.empty()) html += html_table(head, main, numeric);
  if (!sweep.empty())
    html += details(fmt::format("{} sweep members", sweep.size()), html_table(head, sweep, numeric),
                    main.empty());
  return html;
}

std::string audit_section(const ClimbFiles& files) {
  if (!files.audit.is_object() || !files.audit.contains("tensors")) return {};
  std::vector<TableRow> rows;
  for (const auto& t : files.audit["tensors"]) {
    TableRow row = {"<code>" + escape_html(text_at(t, "name")) + "</code>",
                    escape_html(text_at(t, "role"))};
    for (const char* key : {"fan_in", "fan_out"}) row.push_back(show_number(number_at(t, key), 8));
    for (const char* key : {"A", "B", "C", "decay", "epsilon"})
      row.push_back(show_number(number_at(t, key)));
    rows.push_back(std::move(row));
  }
  const auto table = html_table({"tensor", "role", "fan in", "fan out", "<i>A</i> multiplier",
                                 "<i>B</i> init std", "<i>C</i> LR factor", "decay", "epsilon"},
                                rows, {false, false, true, true, true, true, true, true, true});
  return "<p>Every trained tensor of the target with the factors that its parametrisation gives "
         "it.</p>\n" +
         details(fmt::format("{} tensors", rows.size()), table, rows.size() <= 24);
}

std::string reproduce_section(const ClimbFiles& files) {
  std::string html = climb_commands(files);
  if (!files.config.empty())
    html +=
        details("config.toml",
                "<pre class=\"code\"><code>" + escape_html(files.config) + "</code></pre>", false);
  std::vector<TableRow> rows;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) rows.push_back({name, "<code>" + escape_html(value) + "</code>"});
  };
  add("prediction.json", files.prediction_sha256);
  add("runs.csv when predicted", text_at(files.prediction, "runs_csv_sha256"));
  add("held-out text", text_at(files.prediction, "held_out/sha256"));
  if (!rows.empty()) html += html_table({"file", "SHA-256"}, rows, {});
  return html;
}

std::string ladder_caption(const ClimbFiles& files) {
  std::string text =
      "Each circle is a trained rung: filled ones enter the fit, hollow ones do not.";
  if (files.fit.is_object() && files.fit.contains("curve"))
    text += " The line is the fitted law along the target's path, the band its interval.";
  if (std::isfinite(number_at(files.prediction, "loss")))
    text += " The diamond with its bar is the prediction that was written down first";
  if (measured_target(files)) text += "; the cross is what the target then measured";
  return text + (text.back() == '.' ? "" : ".");
}

std::string bowl_caption(const ClimbFiles& files) {
  const auto bowls = find_bowls(files);
  if (bowls.empty()) return {};
  double low = INFINITY, high = 0;
  int edges = 0;
  for (const auto& bowl : bowls) {
    low = std::min(low, bowl.optimum_lr), high = std::max(high, bowl.optimum_lr);
    edges += bowl.at_edge;
  }
  std::string text =
      "Loss of every sweep over its learning rate, as excess over that sweep's best. ";
  if (bowls.size() == 1)
    text += fmt::format("The star marks the optimum, {}.", show_power_of_two(std::log2(low), 1));
  else
    text += fmt::format("Stars mark the optima: between {} and {}, a spread of {}.",
                        show_power_of_two(std::log2(low), 1), show_power_of_two(std::log2(high), 1),
                        high / low < 1.005 ? "nothing" : fmt::format("{:.2f}×", high / low));
  if (edges > 0)
    text += fmt::format(
        " In {} of {} the best value lies at the edge of the sweep: the optimum may lie beyond.",
        edges, bowls.size());
  return text;
}

}  // namespace rung
