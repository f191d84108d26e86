#include "cli/torch/compare.h"

#include <algorithm>

#include "core/error.h"
#include "core/nearest.h"
#include "core/progress.h"
#include "core/table.h"
#include "model/part.h"
#include "optim/optimizer.h"
#include "scaling/parametrisation.h"

namespace rung {
namespace {

struct PartName {
  std::string name, key;
};

std::vector<PartName> part_names() {
  std::vector<PartName> names;
  for (const Part& part : mixers()) names.push_back({std::string(part.name), "model.mixer"});
  for (const Part& part : ffns()) names.push_back({std::string(part.name), "model.ffn"});
  for (const Optimizer& o : optimizers()) names.push_back({std::string(o.name), "train.optimizer"});
  for (const Parametrisation& p : parametrisations())
    names.push_back({std::string(p.name), "parametrisation"});
  return names;
}

Setting setting_of(const std::string& word) {
  if (word.find('=') != std::string::npos) {
    Setting setting = parse_setting(word);
    if (setting.values.size() != 1)
      fail_usage("[compare] An alternative has one value a key. Received {}.", word);
    if (setting.key.starts_with("data."))
      fail_usage(
          "[compare] Alternatives share their data: losses on other data are not compared. "
          "Received {}.",
          word);
    std::string& value = setting.values.front();  // its quotes kept commas together, no more
    if (value.size() > 1 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return setting;
  }
  std::vector<std::string> known;
  for (const PartName& part : part_names()) {
    if (part.name == word) return {part.key, {word}};
    known.push_back(part.name);
  }
  fail_usage(
      "[compare] No part has this name. Received {}.{} `rung mixers`, `rung ffns`, `rung "
      "optimizers` and `rung parametrisations` list them; key=value names any setting.",
      word, suggestion(word, known));
}

// Folder names: what a path or a shell may not like becomes '-'.
std::string folder_name(std::string text) {
  for (char& c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.' &&
        c != '=' && c != '+')
      c = '-';
  return text;
}

// At separators outside of quotes, as patterns of layers have commas of their own.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> words{""};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == separator && !quoted)
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

// [NAME:]SETTING+SETTING..
NamedSettings alternative_of(const std::string& text) {
  const size_t colon = text.find(':'), rest = colon == std::string::npos ? 0 : colon + 1;
  const bool is_named = rest > 1 && text.find_first_of("=+\"") > colon;
  NamedSettings named{folder_name(is_named ? text.substr(0, colon) : text), {}};
  for (const std::string& word : split(is_named ? text.substr(rest) : text, '+'))
    named.settings.push_back(setting_of(word));
  return named;
}

}  // namespace

std::vector<NamedSettings> parse_alternatives(const std::vector<std::string>& texts) {
  std::vector<NamedSettings> alternatives;
  for (const std::string& list : texts)
    for (const std::string& text : split(list, ',')) {
      NamedSettings named = alternative_of(text);
      for (const NamedSettings& other : alternatives)
        if (other.name == named.name)
          fail_usage("[compare] An alternative is given twice. Received {}.", text);
      alternatives.push_back(std::move(named));
    }
  if (alternatives.size() < 2)
    fail_usage("[compare] A comparison takes two alternatives at least. Received {}.",
               alternatives.size());
  return alternatives;
}

std::string comparison_text(const Json& comparison) {
  std::vector<TableRow> rows;
  for (const Json& a : comparison.at("alternatives")) {
    const bool measured = a.contains("measured");
    rows.push_back(
        {a.at("name").get<std::string>(), short_number(a.at("target").at("N").get<double>()),
         fmt::format("{:.1f}x", a.at("extrapolation_flops").get<double>()),
         fmt::format("{:.4f} ({:.4f} .. {:.4f})", a.at("predicted").at("loss").get<double>(),
                     a.at("predicted").at("lo").get<double>(),
                     a.at("predicted").at("hi").get<double>()),
         measured ? fmt::format("{:.4f}", a.at("measured").at("loss").get<double>()) : "-",
         measured ? fmt::format("{:+.2f} %", 100.0 * a.at("relative_error").get<double>()) : "-",
         measured ? (a.at("inside").get<bool>() ? "inside" : "outside") : "-"});
  }
  std::string text = text_table(
      {"alternative", "target N", "ahead", "predicted, 90 %", "measured", "error", ""}, rows);
  for (const Json& pair : comparison.at("pairs"))
    text += fmt::format("at equal FLOPs: {}\nat equal time:  {}\n",
                        pair.at("flops").at("verdict").get<std::string>(),
                        pair.at("seconds").at("verdict").get<std::string>());
  for (const Json& warning : comparison.at("warnings"))
    text += fmt::format("warning: {}\n", warning.get<std::string>());
  return text + fmt::format("report: {}/compare.html", comparison.at("out").get<std::string>());
}

}  // namespace rung
