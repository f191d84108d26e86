// report.html of a climb: one self-contained page made from the climb folder's files alone.
#pragma once
#include <filesystem>
#include <string>

namespace rung {

// Writes folder/report.html (whole or not at all) from whatever files are there; absent ones leave
// their section out or say what is still to come. Cheap enough to be called at every stage and
// every few seconds while a climb runs.
void write_report(const std::filesystem::path& climb_folder);

// The same page as text. `folder` appears in titles and commands only.
std::string report_page(const std::filesystem::path& climb_folder);

// True when the plotting library was embedded at build time; otherwise pages hold data and tables
// only.
bool report_has_plots();

}  // namespace rung
