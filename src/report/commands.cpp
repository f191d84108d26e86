#include "report/commands.h"

#include <vector>

#include "core/shell.h"
#include "report/html.h"

namespace rung {
namespace {

std::string show_exact(double value) {
  return fmt::format("{:.17g}", value);
}

using Words = std::vector<std::string>;

// Without `option` and what it takes: one word, here or behind a '=', and for a list those behind
// it that are key=value.
Words without(const Words& words, const std::string& option, bool list = false) {
  Words kept;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with(option + "=")) continue;
    if (words[i] != option) {
      kept.push_back(words[i]);
      continue;
    }
    ++i;
    const auto belongs = [](const std::string& word) {
      return !word.starts_with('-') && word.find('=') != std::string::npos;
    };
    while (list && i + 1 < words.size() && belongs(words[i + 1])) ++i;
  }
  return kept;
}

}  // namespace

std::string again_command(const ClimbFiles& files) {
  Words words = first_command(files.log);
  const double flops = number_at(files.plan, "flops");
  if (words.empty() || !(flops > 0)) return {};
  const Words settings = first_words(files.log, "alternative");
  const size_t all = words.size();
  words = without(words, "--compare", true);
  if (words.size() < all && settings.empty()) return {};
  std::erase_if(words, [](const std::string& w) { return w == "--resume" || w == "--together"; });
  words = without(without(words, "--budget"), "--out");
  if (!settings.empty()) words.emplace_back("--set");
  words.insert(words.end(), settings.begin(), settings.end());
  for (std::string word : {std::string("--budget"), show_exact(flops) + "flop",
                           std::string("--out"), files.folder.string() + "-again"})
    words.push_back(std::move(word));
  return "./rung " + shell_line(words);
}

std::string climb_commands(const ClimbFiles& files) {
  const auto folder = shell_quoted(files.folder.string());
  std::string text;
  const auto add = [&](std::string_view comment, const std::string& command) {
    text += fmt::format("# {}\n{}\n\n", comment, command);
  };
  if (const Words words = first_command(files.log); !words.empty())
    add("the climb as it was started", "./rung " + shell_line(words));
  if (const std::string command = again_command(files); !command.empty())
    add("the same climb again, whatever this machine's speed", command);
  if (const auto law = text_at(files.fit, "law"); !law.empty())
    add("a plain fit of the same law to the table of runs; the climb's own adds weights, regimes "
        "and a prior, so numbers differ",
        text_at(
            files.fit, "command",
            fmt::format("./rung fit {}/runs.csv --law {}{} --where 'kind==\"ladder\" && used==1' "
                        "--out fit.json",
                        folder, shell_quoted(law), law == "chinchilla" ? "" : " --columns x=N")));
  if (number_at(files.prediction, "target/N") > 0)
    add("the leading candidate at the target; prediction.json weighs all candidates",
        fmt::format("./rung predict {}/fit.json N={} D={} --level {}", folder,
                    show_exact(number_at(files.prediction, "target/N")),
                    show_exact(number_at(files.prediction, "target/D")),
                    show_number(number_at(files.prediction, "level"), 3)));
  add("this page", fmt::format("./rung report {}", folder));
  return "<pre class=\"code\"><code>" + escape_html(text.substr(0, text.size() - 2)) +
         "</code></pre>";
}

}  // namespace rung
