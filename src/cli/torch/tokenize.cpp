// rung tokenize: the tokens of a text or of a data set, and the tokenizer trained for it.
#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/safetensors.h"
#include "data/source.h"
#include "data/tokenizer.h"

namespace rung {
namespace {

// Copies a file of the data set, if it has it, under a name of its own.
void keep_file(const Json& facts, const char* key, const fs::path& to) {
  const std::string from = facts.value(key, "");
  if (from.empty()) return;
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) fail("[tokenize] Cannot write {}: {}.", to.string(), error.message());
}

// The tokenizer and both shards (docs/data.md has their format), with what the record says.
void write_data_set(const Json& facts, const fs::path& folder) {
  make_folder(folder, "tokenize");
  if (!fs::is_empty(folder))
    fail("[tokenize] {} is not empty. Choose another folder.", folder.string());
  const fs::path model = facts.value("tokenizer_model", "");
  keep_file(facts, "tokenizer_model",
            folder / (model.extension() == ".json" ? "tokenizer.json" : "tokenizer.model"));
  keep_file(facts, "train_shard", folder / "train.tokens");
  keep_file(facts, "held_out_shard", folder / "held_out.tokens");
  write_json(folder / "data.json", facts);
}

int tokenize_data(const Arguments& arguments, const TokenSource& source) {
  Json facts = source.describe();
  if (!facts.contains("train_shard"))
    fail_usage("[tokenize] {} has no text to tokenize. Give --data a text.",
               facts.value("path", "The data"));
  const double tokens = facts.at("tokens").get<double>(), bytes = facts.at("bytes").get<double>();
  facts["bytes_per_token"] = bytes / tokens;
  if (arguments.has("--out")) {
    write_data_set(facts, arguments.text("--out"));
    facts["out"] = arguments.text("--out");
  }
  arguments.out->result(
      facts, fmt::format("{}: {} tokens of {} documents and {} held out of {}, {:.3f} bytes a "
                         "token, a vocabulary of {}",
                         facts.at("tokenizer").get<std::string>(), facts.at("tokens").dump(),
                         facts.at("documents").dump(), facts.at("held_out_tokens").dump(),
                         facts.at("held_out_documents").dump(), bytes / tokens,
                         facts.at("vocabulary").dump()));
  return 0;
}

// As rung logits reads them: `tokens`, int64 [1, T].
void write_text_tokens(const std::vector<int32_t>& tokens, const fs::path& path) {
  const std::vector<int64_t> wide(tokens.begin(), tokens.end());
  const TensorBlock block{
      "tokens", "I64", {1, static_cast<int64_t>(wide.size())}, std::as_bytes(std::span(wide))};
  write_safetensors(path, {&block, 1}, {{"format", "pt"}});
}

int tokenize_text(const Arguments& arguments, const DataConfig& config, Sources& sources) {
  const std::string text = arguments.text("--text");
  // Words such as bpe name a tokenizer that the data set trains.
  std::vector<int32_t> tokens;
  std::vector<std::string> pieces;
  const auto spell = [&](const auto& tokenizer) {
    for (const int32_t& token : tokens) pieces.push_back(tokenizer.decode({&token, 1}));
  };
  if (config.tokenizer == "bytes" || fs::is_regular_file(config.tokenizer)) {
    const auto tokenizer = given_tokenizer(config);
    tokenizer->encode(text, tokens);
    spell(*tokenizer);
  } else {
    const auto source = sources.open(config);
    tokens = source->encode(text);
    spell(*source);
  }
  if (tokens.empty()) fail_usage("[tokenize] --text is empty.");
  if (arguments.has("--out")) write_text_tokens(tokens, arguments.text("--out"));
  std::string line;
  for (const int32_t token : tokens) line += fmt::format("{}{}", line.empty() ? "" : " ", token);
  // A piece may be a part of a character, which JSON cannot hold.
  Json spelt = Json::array();
  for (const std::string& piece : pieces)
    spelt.push_back(Json::parse(Json(piece).dump(-1, ' ', false, Json::error_handler_t::replace)));
  arguments.out->result({{"tokens", tokens}, {"pieces", spelt}}, line);
  return 0;
}

int run_tokenize(const Arguments& arguments) {
  const RunConfig config = read_one(arguments, "tokenize");
  Sources sources;
  if (arguments.has("--text")) return tokenize_text(arguments, config.data, sources);
  return tokenize_data(arguments, *sources.open(config.data));
}

}  // namespace

extern const Verb tokenize_verb;
const Verb tokenize_verb{
    .name = "tokenize",
    .group = "runs",
    .summary = "the tokens of a text, or of a data set with the tokenizer trained for it",
    .example =
        "rung tokenize --data text.txt --set data.tokenizer=bpe data.vocabulary=4096 --out tokens",
    .options = with_config_options(
        {{.name = "--text", .help = "show the tokens of this text instead"},
         {.name = "--out",
          .help = "folder that receives tokenizer, shards and data.json; with --text a file for "
                  "rung logits"}}),
    .run = run_tokenize};

}  // namespace rung
