// What every page of Rung shares: head, style, script, data, and figures for plots.
#pragma once
#include <string>
#include <string_view>

#include "core/json.h"

namespace rung {

// A figure for a chart; collects the chart's data in `charts`. A null chart gives nothing; without
// the plotting library a note stands in the plot's place.
std::string figure(Json& charts, Json chart, std::string_view title, const std::string& caption);

// Two figures beside each other where the page is wide enough.
std::string side_by_side(const std::string& left, const std::string& right);

// The card that a page begins with: what kind of page it is, a badge where it has one, its title,
// and below them `content`. All but the kind and the title are HTML.
std::string page_header(std::string_view kind, std::string_view title, const std::string& content,
                        const std::string& badge = "");

// The whole document around `content`; `refresh` seconds reload it, 0: never.
std::string page_frame(std::string_view title, const std::string& content, const Json& charts,
                       int refresh = 0);

}  // namespace rung
