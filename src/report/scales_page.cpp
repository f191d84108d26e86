#include "report/scales_page.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/climb_files.h"
#include "report/html.h"
#include "report/page_frame.h"

namespace rung {
namespace {

// The common axis, in powers of two.
struct Axis {
  double lo = -26.0, hi = 18.0;

  double at(double value) const {
    return std::clamp(100.0 * (std::log2(value) - lo) / (hi - lo), 0.0, 100.0);
  }
};

// All bars fit, and the ranges of every format but BF16, which is wider than any page.
Axis axis_of(const Json& scales) {
  Axis axis;
  for (const Json& t : scales["tensors"])
    if (number_at(t, "low") > 0.0) {
      axis.lo = std::min(axis.lo, std::floor(std::log2(number_at(t, "low"))) - 1.0);
      axis.hi = std::max(axis.hi, std::ceil(std::log2(number_at(t, "abs_max"))) + 1.0);
    }
  return axis;
}

// From one value to another along the axis.
std::string piece(const Axis& axis, const char* kind, double from, double to) {
  return fmt::format("<i class=\"{}\" style=\"left:{:.2f}%;width:{:.2f}%\"></i>", kind,
                     axis.at(from), axis.at(to) - axis.at(from));
}

constexpr std::array colours = {"law", "good", "target", "prediction"};  // as the formats

// What the tracks of all tensors have behind them: the normal range of each format, tinted.
std::string backdrop(const Json& scales, const Axis& axis) {
  std::string layers;
  for (size_t i = 0; i < scales["formats"].size(); ++i) {
    const Json& f = scales["formats"][i];
    layers += fmt::format(
        "{}linear-gradient(90deg,transparent {:.2f}%,color-mix(in srgb,var(--{}) "
        "11%,transparent) 0 {:.2f}%,transparent 0)",
        layers.empty() ? "" : ",", axis.at(number_at(f, "smallest_normal")),
        colours[i % colours.size()], axis.at(number_at(f, "largest")));
  }
  return ".scales .tensor .track{background:" + layers + "}";
}

std::string style(const Json& scales, const Axis& axis) {
  std::string css = "<style>" + backdrop(scales, axis);
  for (size_t i = 0; i < scales["steps"].size(); ++i)
    css += fmt::format("#step-{0}:checked~#panel-{0}{{display:block}}", i);
  return css + "</style>\n";
}

// The formats' own ranges and the ticks, which stay in view.
std::string head(const Json& scales, const Axis& axis) {
  std::string html = "<div class=\"head\">";
  for (size_t i = 0; i < scales["formats"].size(); ++i) {
    const Json& f = scales["formats"][i];
    const double normal = number_at(f, "smallest_normal"),
                 subnormal = number_at(f, "smallest_subnormal"), largest = number_at(f, "largest");
    html += fmt::format(
        "<div class=\"row format\" style=\"--own:var(--{})\" title=\"{}: subnormal from 2^{:.0f}, "
        "normal from 2^{:.0f} to {:g}\"><span>{}</span><div class=\"track\">{}{}</div></div>",
        colours[i % colours.size()], escape_html(text_at(f, "name")), std::log2(subnormal),
        std::log2(normal), largest, escape_html(text_at(f, "name")),
        piece(axis, "subnormal", subnormal, normal), piece(axis, "normal", normal, largest));
  }
  html += "<div class=\"row ticks\"><span></span><div class=\"track\">";
  const double step = axis.hi - axis.lo > 64.0 ? 16.0 : 8.0;
  for (double tick = std::ceil(axis.lo / step) * step; tick <= axis.hi; tick += step)
    html += fmt::format("<i style=\"left:{:.2f}%\">{}</i>", axis.at(std::exp2(tick)),
                        show_power_of_two(tick));
  return html + "</div><b>lost in E4M3</b></div></div>\n";
}

std::string share(double fraction) {
  return fraction == 0.0   ? "0"
         : fraction >= 0.1 ? fmt::format("{:.0f} %", 100.0 * fraction)
                           : fmt::format("{:.2g} %", 100.0 * fraction);
}

double lost(const Json& fit, bool scaled) {
  return scaled ? number_at(fit, "scaled_underflow")
                : number_at(fit, "underflow") + number_at(fit, "overflow");
}

// As it is, and at the best scale where that is another.
std::string loss_text(const Json& fit) {
  const double plain = lost(fit, false);
  if (plain == 0.0) return "0";
  return fmt::format("{} → {} at {}", share(plain), share(lost(fit, true)),
                     show_power_of_two(number_at(fit, "scale_log2")));
}

std::string hint(const Json& t) {
  std::string text = fmt::format(
      "RMS {:.3g}, std {:.3g}, mean {:.3g}, |x| {:.3g} to {:.3g}, {:.0f} of {:.0f} zero",
      number_at(t, "rms"), number_at(t, "std"), number_at(t, "mean"), number_at(t, "abs_min"),
      number_at(t, "abs_max"), number_at(t, "zeros"), number_at(t, "count"));
  for (const auto& [format, fit] : t["formats"].items())
    text += fmt::format("; {} zero {}, subnormal {}, over {}", format,
                        share(number_at(fit, "underflow")), share(number_at(fit, "subnormal")),
                        share(number_at(fit, "overflow")));
  return escape_html(text);
}

std::string tensor_row(const Json& t, const Axis& axis) {
  std::string bars;
  if (number_at(t, "abs_max") > 0.0)
    bars =
        piece(axis, "tail", number_at(t, "low"), number_at(t, "abs_max")) +
        piece(axis, "bar", number_at(t, "low"), number_at(t, "high")) +
        fmt::format("<i class=\"mark\" style=\"left:{:.2f}%\"></i>", axis.at(number_at(t, "rms")));
  return fmt::format(
      "<div class=\"row tensor\" title=\"{}\"><span>{}</span><div "
      "class=\"track\">{}</div><b>{}</b></div>\n",
      hint(t), escape_html(text_at(t, "tensor")), bars,
      bars.empty() ? "all zero" : loss_text(t["formats"]["E4M3"]));
}

// Layers that are drawn: all of a few, of more the first, the last and some between.
bool is_drawn(const Json& scales, double layer) {
  constexpr double most = 6.0;
  const double depth = number_at(scales, "depth");
  return depth <= most || layer < 0.0 || layer + 1.0 == depth ||
         std::fmod(layer, std::ceil(depth / (most - 1.0))) == 0.0;
}

std::string panel(const Json& scales, const Axis& axis, size_t place) {
  std::string html = fmt::format("<div class=\"panel\" id=\"panel-{}\">\n", place);
  for (const auto& [kind, name] :
       {std::pair{"activation", "Activations"}, std::pair{"gradient", "Their gradients"},
        std::pair{"weight", "Weights"}, std::pair{"weight gradient", "Weight gradients"}}) {
    html += fmt::format("<h3>{}</h3>\n", name);
    for (const Json& t : scales["tensors"])
      if (t["step"] == scales["steps"][place] && text_at(t, "kind") == kind &&
          is_drawn(scales, number_at(t, "layer")))
        html += tensor_row(t, axis);
  }
  return html + "</div>\n";
}

std::string plot(const Json& scales) {
  const Axis axis = axis_of(scales);
  std::string html = style(scales, axis) + "<div class=\"scales\">\n";
  for (size_t i = 0; i < scales["steps"].size(); ++i)
    html += fmt::format(
        "<input type=\"radio\" name=\"step\" id=\"step-{0}\"{1}><label for=\"step-{0}\">step "
        "{2}</label>\n",
        i, i == 0 ? " checked" : "", scales["steps"][i].dump());
  html += head(scales, axis);
  for (size_t i = 0; i < scales["steps"].size(); ++i) html += panel(scales, axis, i);
  return html +
         "</div>\n<figcaption>Bars: |x| of non-zero elements from the 0.1 % to the 99.9 % "
         "quantile, a thin line to the largest; the mark is the RMS. Tints: the formats' normal "
         "ranges. The share lost is what rounds to zero or overflows, and what is left of that at "
         "the best power of two. Gradients are those that training uses.</figcaption>";
}

std::string ranges_table(const Json& scales) {
  TableRow names{"all tensors", "step", "RMS from", "to"};
  std::vector<bool> numeric{false, true, true, true};
  for (const Json& f : scales["formats"]) {
    names.push_back("lost in " + escape_html(text_at(f, "name")));
    numeric.push_back(true);
  }
  std::vector<TableRow> rows;
  for (const Json& r : scales["ranges"]) {
    rows.push_back({escape_html(text_at(r, "kind")), r["step"].dump(),
                    show_number(number_at(r, "rms_lo"), 3),
                    show_number(number_at(r, "rms_hi"), 3)});
    for (const Json& f : scales["formats"]) {
      const std::string name = text_at(f, "name");
      const double plain = r["lost"][name].get<double>();
      rows.back().push_back(
          plain == 0.0 ? "0" : share(plain) + " → " + share(r["scaled_lost"][name].get<double>()));
    }
  }
  return html_table(names, rows, numeric);
}

std::string classes_table(const Json& scales) {
  TableRow names{"tensor", "of"};
  std::vector<bool> numeric{false, false};
  for (const Json& step : scales["steps"]) {
    names.push_back("RMS " + step.dump());
    numeric.push_back(true);
  }
  names.insert(names.end(), {"worst", "at step"});
  numeric.insert(numeric.end(), {false, true});
  std::vector<TableRow> rows;
  for (const Json& c : scales["classes"]) {
    rows.push_back({escape_html(text_at(c, "class")), escape_html(text_at(c, "kind"))});
    for (const Json& rms : c["rms"]) rows.back().push_back(show_number(rms.get<double>(), 3));
    rows.back().resize(2 + scales["steps"].size(), "–");
    rows.back().push_back(escape_html(text_at(c, "worst/tensor")));
    rows.back().push_back(c["worst"]["step"].dump());
  }
  return html_table(names, rows, numeric);
}

}  // namespace

bool is_scales(const Json& json) {
  return json.is_object() && text_at(json, "kind") == "scales";
}

std::string scales_page(const Json& scales, std::string_view title) {
  std::string html = fmt::format(
      "<p>{}, width {:.0f}, depth {:.0f}, {} tokens a batch{}. Shares are of non-zero elements: "
      "the largest that one tensor loses as it is → at its own best power of two.</p>\n",
      escape_html(text_at(scales, "parametrisation")), number_at(scales, "width"),
      number_at(scales, "depth"), show_count(number_at(scales, "batch_tokens")),
      text_at(scales, "status") == "diverged"
          ? "; <span class=\"badge bad\">diverged</span> after it"
          : "");
  html = page_header("tensor scales", title, html + ranges_table(scales));
  html += html_section("tensors", "Every tensor", plot(scales));
  html += html_section("classes", "By name", classes_table(scales));
  return page_frame(title, html, Json::array());
}

}  // namespace rung
