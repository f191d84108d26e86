// The folder of the source tree, for goldens and documents. One file alone is compiled with it
// (main.cpp), so that ccache serves every other test to another clone.
#pragma once
#include <string>

namespace rung {

std::string source_dir();

}  // namespace rung
