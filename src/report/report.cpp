#include "report/report.h"

#include "core/files.h"
#include "report/assets.h"
#include "report/charts.h"
#include "report/climb_files.h"
#include "report/html.h"
#include "report/sections.h"

namespace rung {
namespace {

constexpr int refresh_seconds = 10;

// A figure for a chart; collects the chart's data in `charts`. Without data or library only the
// caption's section is left out or a note stands in the plot's place.
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
        "page; "
        "<code>rung report</code> on the folder draws it where the library is installed.</p>";
  return html + fmt::format("<figcaption>{}</figcaption></figure>\n", caption);
}

std::string pair(const std::string& left, const std::string& right) {
  if (left.empty() || right.empty()) return left + right;
  return "<div class=\"pair\">" + left + right + "</div>";
}

std::string body(const ClimbFiles& files, Json& charts) {
  std::string html = headline_section(files);
  html += html_section(
      "ladder", "The ladder and its law",
      figure(charts, ladder_chart(files), "", ladder_caption(files)) + law_section(files));
  html += html_section("error", "How far off, and why",
                       pair(figure(charts, residual_chart(files), "Residuals",
                                   "Measured loss over fitted loss. A trend rather than scatter "
                                   "around zero means that the law bends."),
                            figure(charts, sources_chart(files), "The interval by source",
                                   "Half-widths in percent of the predicted loss; the sources "
                                   "combine to the whole interval.")));
  html += html_section("checks", "Diagnostics and checklist", checks_section(files));
  html += html_section("bowl", "Learning rate and batch",
                       figure(charts, bowl_chart(files), "", bowl_caption(files)));
  html += html_section("curves", "Loss curves",
                       figure(charts, curves_chart(files), "",
                              "Training loss over tokens, members averaged, neighbouring steps "
                              "averaged on the logarithmic axis."));
  html += html_section("runs", "Runs", runs_section(files));
  html += html_section("audit", "Parametrisation audit", audit_section(files));
  return html + html_section("reproduce", "Reproduce", reproduce_section(files));
}

}  // namespace

bool report_has_plots() {
  return !plot_library().empty();
}

std::string report_page(const std::filesystem::path& climb_folder) {
  const auto files = read_climb_files(climb_folder);
  Json charts = Json::array();
  const auto content = body(files, charts);
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n";
  if (files.running())
    page += fmt::format("<meta http-equiv=\"refresh\" content=\"{}\">\n", refresh_seconds);
  page += fmt::format("<title>Rung: {}</title>\n<style>\n",
                      escape_html(files.folder.filename().string()));
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
    page += page_script();
    page += "</script>\n";
  }
  return page + "</body></html>\n";
}

void write_report(const std::filesystem::path& climb_folder) {
  write_file(climb_folder / "report.html", report_page(climb_folder));
}

}  // namespace rung
