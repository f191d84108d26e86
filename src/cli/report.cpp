// rung report: draws (again) the page of a climb folder from its files alone.
#include "report/report.h"

#include "cli/verb.h"
#include "core/error.h"

namespace rung {
namespace {

int run(const Arguments& arguments) {
  const std::filesystem::path folder = arguments.text("DIR");
  write_report(folder);
  const std::string page = (folder / "report.html").string();
  arguments.out->result({{"out", page}, {"plots", report_has_plots()}}, page);
  return 0;
}

}  // namespace

extern const Verb report_verb;
const Verb report_verb{
    .name = "report",
    .group = "climb",
    .summary = "draw the page of a climb or a fit from its folder's files",
    .example = "rung report climb",
    .options = {{.name = "DIR", .help = "folder of the climb", .required = true}},
    .run = run};

}  // namespace rung
