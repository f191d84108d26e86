#include "report/html.h"

#include <cmath>

namespace rung {
namespace {

constexpr const char* dash = "–";

// Removes the trailing zeros that a fixed number of digits leaves.
std::string trimmed(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string significant(double value, int digits) {
  const double size = std::fabs(value);
  const int whole = size > 0 ? static_cast<int>(std::floor(std::log10(size))) + 1 : 1;
  return trimmed(fmt::format("{:.{}f}", value, std::max(0, digits - whole)));
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : text) switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  return result;
}

std::string script_json(const Json& json) {
  const auto text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string result;
  for (const char c : text)
    if (c == '<')
      result += "\\u003c";
    else
      result += c;
  return result;
}

std::string show_count(double value) {
  if (!std::isfinite(value)) return dash;
  constexpr std::array<std::pair<double, const char*>, 4> units = {
      {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}};
  for (const auto& [unit, name] : units)
    if (std::fabs(value) >= 0.9995 * unit) return significant(value / unit, 3) + name;
  return significant(value, 3);
}

std::string show_flops(double value) {
  if (!std::isfinite(value)) return dash;
  if (value <= 0) return "0";
  int exponent = static_cast<int>(std::floor(std::log10(value)));
  double mantissa = value / std::pow(10.0, exponent);
  if (mantissa >= 9.995) mantissa /= 10, ++exponent;
  return fmt::format("{:.2f} × 10<sup>{}</sup>", mantissa, exponent);
}

std::string show_number(double value, int digits) {
  if (!std::isfinite(value)) return dash;
  const double size = std::fabs(value);
  if (size == 0) return "0";
  if (size < 1e-3 || size >= 1e6) return fmt::format("{:.{}e}", value, digits - 1);
  return significant(value, digits);
}

std::string show_loss(double value) {
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : dash;
}

std::string show_percent(double fraction) {
  if (!std::isfinite(fraction)) return dash;
  return fmt::format("{}{:.2f} %", fraction < 0 ? "−" : "+", std::fabs(100 * fraction));
}

std::string show_power_of_two(double exponent, int decimals) {
  const std::string size = fmt::format("{:.{}f}", std::fabs(exponent), decimals);
  const bool zero = size.find_first_not_of("0.") == std::string::npos;
  return fmt::format("2<sup>{}{}</sup>", exponent < 0 && !zero ? "−" : "", size);
}

std::string show_seconds(double value) {
  if (!std::isfinite(value)) return dash;
  if (value < 60) return fmt::format("{:.1f} s", value);
  const auto whole = static_cast<int64_t>(std::llround(value));
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole / 60 % 60);
}

std::string html_table(const TableRow& head, const std::vector<TableRow>& rows,
                       const std::vector<bool>& numeric) {
  const auto cell = [&](const char* tag, size_t k, const std::string& content) {
    const bool right = k < numeric.size() && numeric[k];
    return fmt::format("<{}{}>{}</{}>", tag, right ? " class=\"n\"" : "", content, tag);
  };
  std::string table = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
  for (size_t k = 0; k < head.size(); ++k) table += cell("th", k, head[k]);
  table += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    table += "<tr>";
    for (size_t k = 0; k < row.size(); ++k) table += cell("td", k, row[k]);
    table += "</tr>\n";
  }
  return table + "</tbody></table></div>\n";
}

std::string html_section(std::string_view id, std::string_view title, const std::string& content) {
  if (content.empty()) return {};
  return fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", id, title, content);
}

}  // namespace rung
