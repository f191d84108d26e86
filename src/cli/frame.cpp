// The only file that knows CLI11: from argv to Arguments, and from errors to exit statuses.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <map>
#include <thread>

#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/verb.h"
#include "core/error.h"
#include "core/first_line.h"
#include "core/json.h"
#include "core/json_reason.h"
#include "core/nearest.h"

namespace rung {
namespace {

#ifndef RUNG_VERSION
#define RUNG_VERSION "development"
#endif

bool is_dashed(std::string_view name) {
  return name.starts_with("-");
}

// `--set a=1 b=2` means `--set a=1 --set b=2`, so that a list never swallows a positional argument.
std::vector<std::string> repeat_lists(const Verb& verb, const std::vector<std::string>& given) {
  std::vector<std::string> out;
  std::string list;
  for (const std::string& word : given) {
    const bool is_list =
        std::any_of(verb.options.begin(), verb.options.end(), [&](const Option& o) {
          return o.takes == Takes::list && is_dashed(o.name) && o.name == word;
        });
    const bool first = !out.empty() && out.back() == list;
    if (!list.empty() && !first && !is_dashed(word) && word.find('=') != std::string::npos)
      out.push_back(list);
    else if (!list.empty() && !first)
      list.clear();
    out.push_back(word);
    if (is_list) list = word;
  }
  return out;
}

void check_extras(const std::vector<std::string>& extras, const std::vector<Option>& options,
                  const Verb& verb) {
  std::vector<std::string> names;
  for (const Option& option : options)
    if (is_dashed(option.name)) names.push_back(option.name);
  for (const std::string& word : extras) {
    if (!is_dashed(word) || word == "--") continue;
    const std::string name = word.substr(0, word.find('='));
    fail_usage("[cli] Unknown option of {}. Received {}.{}", verb.name, name,
               suggestion(name, names, fmt::format(" See `{} --help`.", verb.name)));
  }
  if (!extras.empty())
    fail_usage("[cli] {} takes no such argument. Received {}.", verb.name, extras.front());
}

void check_value(const Option& option, const Arguments::Value& value) {
  if (option.required && !value.given)
    fail_usage("[cli] {} is missing: {}.", option.name, option.help);
  if (option.takes == Takes::value && value.values.size() > 1)
    fail_usage("[cli] {} takes one value. Received {}.", option.name,
               fmt::join(value.values, " and "));
  // `--law ""` and `--prompt ""` mean something; a path that is empty is a shell variable unset.
  const bool path = !is_dashed(option.name) || option.name == "--out" || option.name == "--data";
  if (path && value.given &&
      std::find(value.values.begin(), value.values.end(), "") != value.values.end())
    fail_usage("[cli] {} is empty: {}.", option.name, option.help);
  if (option.choices.empty()) return;
  for (const std::string& word : value.values) {
    if (std::find(option.choices.begin(), option.choices.end(), word) != option.choices.end())
      continue;
    fail_usage("[cli] {} is one of {}. Received {}.{}", option.name,
               fmt::join(option.choices, ", "), word, suggestion(word, option.choices));
  }
}

// Runs CLI11 over the words behind the verb; values are keyed by option name.
std::map<std::string, Arguments::Value> parse_words(const Verb& verb,
                                                    const std::vector<Option>& options,
                                                    const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::map<std::string, Arguments::Value> values;
  std::map<std::string, CLI::Option*> parsed;
  for (const Option& option : options) {
    Arguments::Value& value = values[option.name];
    value.name = option.name;
    if (option.takes == Takes::flag) {
      parsed[option.name] = app.add_flag(option.name == "--help" ? "-h,--help" : option.name);
      continue;
    }
    CLI::Option* added = app.add_option(option.name, value.values);
    added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (is_dashed(option.name) || option.takes == Takes::value) added->expected(1);
    added->allow_extra_args(!is_dashed(option.name) && option.takes == Takes::list);
    parsed[option.name] = added;
  }
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 wants them so
  try {
    app.parse(reversed);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string_view what = error.what();  // "--budget: 1 required TEXT missing"
    fail_usage("[cli] {}: {} takes a value.", verb.name, what.substr(0, what.find(':')));
  } catch (const CLI::ParseError& error) {
    fail_usage("[cli] {}: {}.", verb.name, error.what());
  }
  for (auto& [name, option] : parsed) values[name].given = option->count() > 0;
  if (values["--help"].given) return values;
  check_extras(app.remaining(), options, verb);
  for (const Option& option : options) check_value(option, values[option.name]);
  return values;
}

int parse_threads(const Arguments::Value& value) {
  if (!value.given) return 0;
  const std::string& text = value.values.front();
  const bool digits =
      !text.empty() && text.size() < 5 && text.find_first_not_of("0123456789") == std::string::npos;
  const int threads = digits ? std::stoi(text) : 0;
  if (threads < 1 || threads > 1024)
    fail_usage("[cli] --threads takes a whole number from 1 to 1024. Received {}.", text);
  return threads;
}

Arguments parse(const Verb& verb, const std::vector<std::string>& words, bool& help) {
  std::vector<Option> options = verb.options;
  const std::vector<Option> common = common_options(verb.trains);
  options.insert(options.end(), common.begin(), common.end());
  std::map<std::string, Arguments::Value> values =
      parse_words(verb, options, repeat_lists(verb, words));
  help = values["--help"].given;
  Arguments arguments;
  if (help) return arguments;
  arguments.json = values["--json"].given;
  arguments.quiet = values["--quiet"].given;
  arguments.dry_run = verb.trains && values["--dry-run"].given;
  arguments.threads = parse_threads(values["--threads"]);
  if (values["--device"].given) arguments.device = values["--device"].values.front();
  for (const Option& option : verb.options) {
    Arguments::Value value = values[option.name];
    if (!value.given && !option.default_text.empty()) value.values = {option.default_text};
    arguments.values.push_back(std::move(value));
  }
  return arguments;
}

// What is looked for as a verb and is an option of one.
constexpr std::array<std::array<std::string_view, 3>, 2> options_as_verbs{
    {{"compare", "climb", "climb --compare"},
     {"resume", "climb", "climb --resume, or --resume of train, sweep or ladder"}}};

std::string verb_suggestion(const std::string& name, const std::vector<std::string>& verbs,
                            std::string_view program) {
  for (const auto& [word, verb, meant] : options_as_verbs)
    if (name == word && std::find(verbs.begin(), verbs.end(), verb) != verbs.end())
      return fmt::format(" Did you mean {}?", meant);
  return suggestion(name, verbs, fmt::format(" `{} help` lists them.", program));
}

const Verb& find_verb(std::string_view program, std::span<const Verb* const> verbs,
                      const std::string& name) {
  std::vector<std::string> names{"help"};
  for (const Verb* verb : verbs) {
    if (verb->name == name) return *verb;
    names.push_back(verb->name);
  }
  fail_usage("[cli] Unknown verb. Received {}.{}", name, verb_suggestion(name, names, program));
}

// One line on stderr; with --json also the object that a script waits for.
int report_error(std::string_view program, const std::string& message, Failure kind, bool json) {
  const std::string line = first_line(message);
  // fmt::print would throw where nobody reads any more, as after a terminal went away.
  std::fputs(fit_terminal(STDERR_FILENO, fmt::format("{}: {}\n", program, line)).c_str(), stderr);
  if (json) {
    const Json object = {{"status", kind == Failure::refused ? "refused" : "failed"},
                         {"error", line}};
    std::puts(object.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  }
  return interrupted() ? interrupt_status() : static_cast<int>(kind);
}

// The heads of help, as usage and summary, are longer than narrow terminals.
void print_help(const std::string& text) {
  fmt::print("{}", fit_terminal(STDOUT_FILENO, text));
}

int print_version(std::string_view program, const Versions& libraries, bool json) {
  std::string text = fmt::format("{} {}\n", program, RUNG_VERSION);
  Json object{{"version", RUNG_VERSION}, {"libraries", Json::object()}};
  for (const auto& [name, version] : libraries) {
    text += fmt::format("{} {}\n", name, version);
    object["libraries"][name] = version;
  }
  fmt::print("{}", json ? object.dump(2) + "\n" : text);
  return 0;
}

int run_words(std::string_view program, std::span<const Verb* const> verbs,
              const std::vector<std::string>& words,
              const std::function<void(const Arguments&)>& start, const Versions& libraries,
              bool json) {
  const std::string first = words.size() > 1 ? words[1] : "help";
  if (first == "--version" || first == "version") return print_version(program, libraries, json);
  if (first == "help" || first == "--help" || first == "-h") {
    const size_t columns = terminal_width(STDOUT_FILENO);
    print_help(words.size() > 2 && !is_dashed(words[2])
                   ? verb_help(program, find_verb(program, verbs, words[2]), columns)
                   : help_text(program, verbs, columns));
    return 0;
  }
  const Verb& verb = find_verb(program, verbs, first);
  bool help = false;
  Arguments arguments = parse(verb, {words.begin() + 2, words.end()}, help);
  if (help) {
    print_help(verb_help(program, verb, terminal_width(STDOUT_FILENO)));
    return 0;
  }
  Output output(arguments.json, arguments.quiet);
  arguments.out = &output;
  arguments.command_line = words;
  arguments.interrupted = [] { return interrupted(); };
  if (arguments.threads == 0)
    arguments.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (start) start(arguments);
  return verb.run(arguments);
}

}  // namespace

int run_program(int argc, char** argv, std::string_view program, std::span<const Verb* const> verbs,
                const std::function<void(const Arguments&)>& start, const Versions& libraries) {
  const std::vector<std::string> words(argv, argv + argc);
  const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
  catch_interrupts();
  try {
    return run_words(program, verbs, words, start, libraries, json);
  } catch (const Error& error) {
    return report_error(program, error.what(), error.kind, json);
  } catch (const Json::exception& error) {
    return report_error(program,
                        fmt::format("[json] A file is not as it was written: {}. Make it anew.",
                                    json_reason(error)),
                        Failure::failed, json);
  } catch (const std::bad_alloc&) {
    return report_error(program, "[memory] The machine has not enough memory for this.",
                        Failure::failed, json);
  } catch (const std::exception& error) {
    return report_error(program, fmt::format("[internal] {}", error.what()), Failure::failed, json);
  }
}

}  // namespace rung
