#include "report/report.h"

#include "core/files.h"
#include "report/charts.h"
#include "report/climb_files.h"
#include "report/html.h"
#include "report/page_frame.h"
#include "report/sections.h"

namespace rung {
namespace {

constexpr int refresh_seconds = 10;

std::string body(const ClimbFiles& files, Json& charts) {
  std::string html = headline_section(files);
  html += html_section(
      "ladder", "The ladder and its law",
      figure(charts, ladder_chart(files), "", ladder_caption(files)) + law_section(files));
  html += html_section(
      "error", "How far off, and why",
      side_by_side(figure(charts, residual_chart(files), "Residuals",
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

std::string report_page(const std::filesystem::path& climb_folder) {
  const auto files = read_climb_files(climb_folder);
  Json charts = Json::array();
  const auto content = body(files, charts);
  return page_frame(files.folder.filename().string(), content, charts,
                    files.running() ? refresh_seconds : 0);
}

void write_report(const std::filesystem::path& climb_folder) {
  write_file(climb_folder / "report.html", report_page(climb_folder));
}

}  // namespace rung
