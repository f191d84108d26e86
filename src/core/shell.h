// Command lines as people can paste them.
#pragma once
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

// `text` as one word of a shell.
std::string shell_quoted(const std::string& text);

// The words behind the program of the first command line (`argv`, an array of strings) that a log
// records, such as `climb --data 'my book.txt'`; empty where there is none.
std::string first_command(const std::vector<Json>& events);

}  // namespace rung
