#include "report/page_frame.h"

#include "report/assets.h"
#include "report/html.h"
#include "report/report.h"

namespace rung {

bool report_has_plots() {
  return !plot_library().empty();
}

std::string figure(Json& charts, Json chart, std::string_view title, const std::string& caption) {
  if (chart.is_null()) return {};
  const auto id = chart["id"].get<std::string>();
  const auto label = escape_html(chart["label"].get<std::string>());
  charts.push_back(std::move(chart));
  std::string html = fmt::format("<figure class=\"plot\" id=\"plot-{}\">", id);
  if (!title.empty()) html += fmt::format("<h3>{}</h3>", title);
  if (report_has_plots())
    html += fmt::format(
        "<div class=\"canvas\"><canvas data-plot=\"{}\" role=\"img\" "
        "aria-label=\"{}\"></canvas></div>",
        id, label);
  else
    html +=
        "<p class=\"proof\">Not drawn: this build has no plotting library. The data is in this "
        "page; <code>rung report</code> on the folder draws it where the library is installed.</p>";
  return html + fmt::format("<figcaption>{}</figcaption></figure>\n", caption);
}

std::string side_by_side(const std::string& left, const std::string& right) {
  if (left.empty() || right.empty()) return left + right;
  return "<div class=\"pair\">" + left + right + "</div>";
}

std::string page_header(std::string_view kind, std::string_view title, const std::string& content,
                        const std::string& badge) {
  return fmt::format(
      "<header><div class=\"brand\"><span>Rung</span> {} {}</div><h1>{}</h1>\n{}</header>\n",
      escape_html(kind), badge, escape_html(title), content);
}

std::string page_frame(std::string_view title, const std::string& content, const Json& charts,
                       int refresh) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n";
  if (refresh > 0) page += fmt::format("<meta http-equiv=\"refresh\" content=\"{}\">\n", refresh);
  page += fmt::format("<title>Rung: {}</title>\n<style>\n", escape_html(title));
  page += page_style();
  page += fmt::format("</style></head>\n<body data-expected=\"{}\"><main>\n",
                      report_has_plots() ? charts.size() : size_t{0});
  page += content;
  page +=
      "<footer>Made by Rung from the files of this folder; no network is used.</footer></main>\n";
  page += "<script type=\"application/json\" id=\"data\">" + script_json(charts) + "</script>\n";
  if (report_has_plots()) {
    page += "<script>";
    page += plot_library();
    page += "</script>\n<script>\n";
    page += page_axes();
    page += page_script();
    page += "</script>\n";
  }
  return page + "</body></html>\n";
}

}  // namespace rung
