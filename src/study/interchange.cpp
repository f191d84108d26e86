#include "study/interchange.h"

#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "data/bpe.h"
#include "data/tokenizer.h"
#include "model/interchange/convert.h"
#include "scaling/count.h"
#include "train/checkpoint.h"

namespace rung {
namespace {

// The end of a document in the run's tokens; -1 where nothing says it.
int64_t separator_of(const Json& source) {
  return source.value("separator", int64_t{-1});
}

// Why a tokenizer that was opened cannot serve a model with that vocabulary; empty: it can.
std::string unfit(const Tokenizer& tokenizer, const fs::path& file, int64_t vocabulary) {
  if (tokenizer.vocabulary() != vocabulary)
    return fmt::format("{} has {} tokens, the model {}", file.filename().string(),
                       tokenizer.vocabulary(), vocabulary);
  if (!tokenizer.model().empty() && !spells_exactly(tokenizer.model(), file.string()))
    return fmt::format("{} adds spaces to texts or changes them", file.filename().string());
  return {};
}

// Copies the folder's tokenizer beside the run where it can be read; returns data.tokenizer: the
// file's name, bytes, or why there is none.
std::string import_tokenizer(const fs::path& from, const fs::path& run, DataConfig data) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    const fs::path file = from / name;
    if (!fs::is_regular_file(file)) continue;
    data.tokenizer = file.string();
    std::string reason;
    try {
      const std::unique_ptr<Tokenizer> tokenizer = given_tokenizer(data);
      reason = unfit(*tokenizer, file, data.vocabulary);
      if (reason.empty() && tokenizer->name() == "bytes") return "bytes";
    } catch (const Error& error) {
      reason = error.what();
    }
    if (!reason.empty()) return fmt::format("{}: {}", no_tokenizer, reason);
    write_file(run / name, read_file(file));
    return name;
  }
  return std::string(no_tokenizer);
}

// The run's tokenizer as the folder's files; returns what there is. Of bytes none is special, not
// even the one that ends a document: transformers would look for it in texts.
std::string export_tokenizer(const OpenRun& run, const Json& source, const fs::path& folder) {
  const bool bytes = source.value("tokenizer", run.config.data.tokenizer) == "bytes";
  const fs::path file = source.value("tokenizer_model", "");
  if (!bytes && file.empty()) return "none";
  const bool json = bytes || file.extension() == ".json";
  Json config = {{"tokenizer_class", json ? "PreTrainedTokenizerFast" : "LlamaTokenizer"},
                 {"model_max_length", run.config.model.context},
                 {"clean_up_tokenization_spaces", false}};
  const auto separator = static_cast<int32_t>(separator_of(source));
  if (json) {
    if (!bytes) config["eos_token"] = run.source->decode({&separator, 1});
  } else {
    config.update({{"unk_token", "<unk>"},
                   {"eos_token", "</s>"},
                   {"bos_token", Json()},
                   {"add_bos_token", false},
                   {"add_eos_token", false},
                   {"add_prefix_space", false},
                   {"legacy", false}});
  }
  const std::string name = json ? "tokenizer.json" : "tokenizer.model";
  write_file(folder / name, bytes ? byte_tokenizer_json().dump(1) : read_file(file));
  write_json(folder / "tokenizer_config.json", config);
  return name;
}

}  // namespace

Interchanged import_run(const fs::path& from, const fs::path& run, const Machine& machine) {
  if (fs::exists(run / "checkpoints") || fs::exists(run / "config.toml"))
    fail("[import] {} holds a run already. Choose another folder.", run.string());
  ImportedModel model = read_model(from);
  RunConfig& config = model.config;
  // Weights first: a folder that fails leaves nothing behind.
  Population population({config}, open_source(config.data, ""), machine);
  fill_weights(model, population.decoder, population.weights.select(0, 0));
  make_folder(run, "import");
  config.data.tokenizer = import_tokenizer(from, run, config.data);
  population.states.front().config = config;
  write_file(run / "config.toml", to_toml(config));
  save_checkpoint(population, run / "checkpoints",
                  {{"done_steps", 0}, {"finish", 0}, {"results", Json::array()}});
  return {.family = std::string(model.family->model_type),
          .tokenizer = config.data.tokenizer,
          .parameters = count(population.decoder.layout.tensors).N_total,
          .vocabulary = config.data.vocabulary};
}

Interchanged export_run(const OpenRun& run, const fs::path& folder, bool packed) {
  if (fs::exists(folder / "config.json"))
    fail("[export] {} holds a model already. Choose another folder.", folder.string());
  make_folder(folder, "export");
  const Population& p = *run.population;
  Decoder decoder = p.decoder;
  decoder.block = p.states.front().block;
  const at::Tensor row = p.eval_weights().select(0, 0).cpu();
  const Json source = run.source->describe();
  const Family& family =
      write_model(run.config, decoder, row, separator_of(source), folder, packed);
  return {.family = std::string(family.model_type),
          .tokenizer = export_tokenizer(run, source, folder),
          .parameters = count(decoder.layout.tensors).N_total,
          .vocabulary = decoder.vocabulary};
}

}  // namespace rung
