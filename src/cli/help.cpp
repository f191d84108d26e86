#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

namespace rung {
namespace {

// `--law NAME`: the name and a word for what it takes, which an option's help may begin with as
// `NAME: ...`.
std::string left_column(const Option& option) {
  if (!option.name.starts_with("-") || option.takes == Takes::flag) return option.name;
  return option.name + (option.choices.empty()
                            ? " VALUE"
                            : " " + fmt::format("{}", fmt::join(option.choices, "|")));
}

// Words in lines of at most so many columns, each line but the first behind `indent` blanks.
std::string wrapped(const std::string& text, size_t indent, size_t columns) {
  std::string out;
  size_t at = indent;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (at > indent && at + 1 + end - begin > columns) {
      out += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (at > indent) {
      out += ' ';
      ++at;
    }
    out += text.substr(begin, end - begin);
    at += end - begin;
    begin = end + 1;
  }
  return out;
}

std::string option_lines(const std::vector<Option>& options, size_t terminal) {
  const size_t columns = std::min<size_t>(100, terminal > 0 ? terminal : 100);
  size_t width = 0;
  for (const Option& option : options)
    width =
        std::max(width, std::min(left_column(option).size(), std::min<size_t>(26, columns / 2)));
  std::string text;
  for (const Option& option : options) {
    const std::string left = left_column(option);
    std::string help = option.help;
    if (option.required) help += " (required)";
    if (option.takes == Takes::list && option.name.starts_with("-")) help += " (repeatable)";
    if (!option.default_text.empty()) help += fmt::format(" [{}]", option.default_text);
    text += left.size() > width ? fmt::format("  {}\n{:{}}", left, "", width + 4)
                                : fmt::format("  {:<{}}  ", left, width);
    text += wrapped(help, width + 4, columns) + '\n';
  }
  return text;
}

}  // namespace

std::vector<Option> common_options(bool trains) {
  std::vector<Option> options = {
      {"--json", Takes::flag, "print one JSON object on standard output", "", false, {}},
      {"--quiet", Takes::flag, "no progress and no remarks", "", false, {}},
      {"--threads", Takes::value, "worker threads; absent: one per core", "", false, {}},
      {"--device", Takes::value, "where to compute", "", false, {"cpu", "cuda"}},
      {"--help", Takes::flag, "this text", "", false, {}}};
  if (trains)
    options.insert(options.begin(), {"--dry-run",
                                     Takes::flag,
                                     "print parameters, FLOPs, memory and time; train nothing",
                                     "",
                                     false,
                                     {}});
  return options;
}

std::string help_text(std::string_view program, std::span<const Verb* const> verbs,
                      size_t columns) {
  std::string text = fmt::format(
      "{}: predictable scaling of language models\n\nusage: {} VERB [arguments] [--json]\n",
      program, program);
  size_t width = 0;
  std::vector<std::string> groups;
  for (const Verb* verb : verbs) {
    width = std::max(width, verb->name.size());
    if (std::find(groups.begin(), groups.end(), verb->group) == groups.end())
      groups.push_back(verb->group);
  }
  for (const std::string& group : groups) {
    text += fmt::format("\n{}\n", group);
    for (const Verb* verb : verbs)
      if (verb->group == group)
        text +=
            fmt::format("  {:<{}}  {}\n", verb->name, width,
                        columns > 0 ? wrapped(verb->summary, width + 4, columns) : verb->summary);
  }
  return text + fmt::format("\n{} VERB --help explains a verb, with an example.\n", program);
}

std::string verb_help(std::string_view program, const Verb& verb, size_t columns) {
  std::vector<Option> positionals, options;
  std::string usage = fmt::format("usage: {} {}", program, verb.name);
  for (const Option& option : verb.options) {
    if (option.name.starts_with("-")) {
      options.push_back(option);
      if (option.required) usage += " " + left_column(option);
      continue;
    }
    positionals.push_back(option);
    const std::string name = option.name + (option.takes == Takes::list ? " ..." : "");
    usage += option.required ? " " + name : " [" + name + "]";
  }
  std::string text = fmt::format("{} {}: {}", program, verb.name, verb.summary);
  if (columns > 0) text = wrapped(text, 4, columns);
  text += fmt::format("\n\n{} [options]\n", usage);
  if (!positionals.empty()) text += "\narguments\n" + option_lines(positionals, columns);
  if (!options.empty()) text += "\noptions\n" + option_lines(options, columns);
  text += "\ncommon options\n" + option_lines(common_options(verb.trains), columns);
  if (!verb.example.empty()) text += fmt::format("\nexample\n  {}\n", verb.example);
  return text;
}

}  // namespace rung
