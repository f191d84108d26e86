// Command lines as people can paste them.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

// `text` as one word of a shell.
std::string shell_quoted(const std::string& text);

// Words with spaces between them, each quoted where it needs it.
std::string shell_line(std::span<const std::string> words);

// The array of strings that the first event with `key` holds; empty where there is none.
std::vector<std::string> first_words(const std::vector<Json>& events, const char* key);

// The words behind the program of the first command line (`argv`) that a log records, such as
// climb, --data and my book.txt.
std::vector<std::string> first_command(const std::vector<Json>& events);

}  // namespace rung
