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

std::string shell_line(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_quoted(word);
  return line;
}

std::vector<std::string> first_words(const std::vector<Json>& events, const char* key) {
  std::vector<std::string> words;
  for (const Json& event : events) {
    if (!event.contains(key)) continue;
    if (event.at(key).is_array())
      for (const Json& word : event.at(key))
        if (word.is_string()) words.push_back(word.get<std::string>());
    return words;
  }
  return words;
}

std::vector<std::string> first_command(const std::vector<Json>& events) {
  std::vector<std::string> words = first_words(events, "argv");
  if (!words.empty() && words.front() != "climb") words.erase(words.begin());  // the program's path
  return words;
}

}  // namespace rung
