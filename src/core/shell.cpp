#include "core/shell.h"

namespace rung {

std::string shell_quoted(const std::string& text) {
  if (!text.empty() &&
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "._-/=:,+%@^") == std::string::npos)
    return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

namespace {

std::string command_words(const Json& argv) {
  if (!argv.is_array() || argv.empty()) return {};
  std::string words;
  // The first word is the program's own path.
  for (size_t i = argv[0] == "climb" ? 0 : 1; i < argv.size(); ++i)
    if (argv[i].is_string())
      words += (words.empty() ? "" : " ") + shell_quoted(argv[i].get<std::string>());
  return words;
}

}  // namespace

std::string first_command(const std::vector<Json>& events) {
  for (const Json& event : events)
    if (event.contains("argv")) return command_words(event.at("argv"));
  return {};
}

}  // namespace rung
