// Command lines as people can paste them.
#pragma once
#include <string>

#include "core/json.h"

namespace rung {

// `text` as one word of a shell.
std::string shell_quoted(const std::string& text);

// The words behind the program of a recorded command line (an array of strings), such as
// `climb --data 'my book.txt'`; empty where there is none.
std::string command_words(const Json& argv);

}  // namespace rung
