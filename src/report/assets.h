// The parts of a page that are embedded in the program: style, script and plotting library.
#pragma once
#include <string_view>

namespace rung {

std::string_view page_style();
std::string_view page_axes();    // ticks and labels, which the script draws with
std::string_view page_script();
std::string_view plot_library();  // Chart.js (MIT); empty where the build found none

}  // namespace rung
