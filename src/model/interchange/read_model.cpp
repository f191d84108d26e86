#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <set>

#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"
#include "model/interchange/convert.h"
#include "model/interchange/folder.h"
#include "model/interchange/packed.h"

namespace rung {
namespace {

using at::Tensor;

// A run that holds a model as it is: no multipliers but what the model has. Continued training
// starts with a rate for trained weights, in batches of one context.
void complete(RunConfig& config) {
  config.parametrisation = "standard";
  config.base_width = config.model.width;
  config.base_depth = config.model.depth;
  config.data.path = "none";
  config.data.tokenizer = "none";
  config.train.batch_tokens = config.train.tokens = config.model.context;
  config.train.eval_tokens = std::max(config.train.eval_tokens, config.model.context);
  config.train.lr = 1e-4;
  config.train.epsilon = 1e-8;
  // A tied matrix starts at 1 as an embedding, and the rule divides its logits by width^1/2.
  if (config.model.tied)
    config.multipliers.alpha_loss = std::sqrt(static_cast<double>(config.model.width));
}

// Python writes infinities, which JSON does not have, as a bare word.
Json read_config_json(const fs::path& path) {
  std::string text = read_file(path);
  for (size_t at = 0; (at = text.find("Infinity", at)) != text.npos; at += 10) {
    if (at == 0 || text[at - 1] == '"') continue;
    text.insert(at + 8, "\"");
    text.insert(at, "\"");
  }
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    fail("[import] {} is not valid JSON: {}.", path.string(), json_reason(error));
  }
}

RunConfig read_config(const Family& family, const Json& json, const std::string& where) {
  Fields fields(json, where);
  RunConfig config = family.read(fields);
  fields.finish();
  complete(config);
  try {
    validate(config);
  } catch (const Error& error) {
    fail("[import] {} describes a model that Rung cannot hold: {}", where, error.what());
  }
  return config;
}

// Their names with the prefix that files of the bare model leave out, and back.
class Names {
 public:
  Names(const TensorFolder& files, const Family& family) : prefix_(family.prefix) {
    for (const std::string& name : files.names()) bare_ = bare_ && !name.starts_with(prefix_);
  }
  std::string in_file(const std::string& name) const {
    return bare_ && name.starts_with(prefix_) ? name.substr(prefix_.size()) : name;
  }

 private:
  std::string_view prefix_;
  bool bare_ = true;
};

Tensor converted(const Tensor& theirs, Form form) {
  switch (form) {
    case Form::same:
      return theirs;
    case Form::transposed:
      return theirs.t();
    case Form::plus_one:
      return theirs + 1.0;
    case Form::filters:
      return theirs.squeeze(1);
    case Form::codes:
    case Form::codes_over:
      break;
  }
  return theirs;
}

bool is_unused(const Family& family, const std::string& name) {
  for (const std::string_view ending : family.unused)
    if (!ending.empty() && name.ends_with(ending)) return true;
  return false;
}

// A tied model's file may hold the readout a second time.
void check_second_readout(const TensorFolder& files, const Names& names, const std::string& file) {
  const TensorBlock* readout = files.find("lm_head.weight");
  for (const char* name :
       {"model.embed_tokens.weight", "transformer.wte.weight", "backbone.embeddings.weight"})
    if (const TensorBlock* table = files.find(names.in_file(name)))
      if (readout->shape == table->shape && std::ranges::equal(readout->bytes, table->bytes))
        return;
  fail("[import] {}: lm_head.weight differs from the embedding, which config.json ties it to.",
       file);
}

void check_extra(const TensorFolder& files, const Family& family, const Names& names,
                 const std::set<std::string>& used, const std::string& where) {
  for (const std::string& name : files.names()) {
    if (used.contains(name) || is_unused(family, name)) continue;
    if (name == "lm_head.weight") {
      check_second_readout(files, names, where);
      continue;
    }
    fail("[import] {} holds a tensor that {} does not have. Received {}.", where, family.model_type,
         name);
  }
}

bool is_coded(Form form) {
  return form == Form::codes || form == Form::codes_over;
}

Tensor read_values(const TensorFolder& files, const TensorBlock& block, Form form) {
  if (!is_coded(form)) return converted(floating_tensor(block), form);
  const TensorBlock* scale = files.find(scale_name(block.name));
  if (!scale) fail("[import] The codes of {} have no scale beside them.", block.name);
  return ternary_weights(block, *scale, form == Form::codes_over);
}

// One tensor of the file in our form, with the rows that it must have.
Tensor read_one(const TensorFolder& files, const TensorBlock& block, const TensorMap& map,
                int64_t rows) {
  const size_t rank = map.form == Form::transposed ? 2 : map.form == Form::filters ? 3 : 0;
  if (rank > 0 && block.shape.size() != rank)
    fail("[import] {} must be of rank {}. Received the shape [{}].", block.name, rank,
         fmt::join(block.shape, ", "));
  const Tensor values = read_values(files, block, map.form);
  if (values.dim() == 0 || (rows > 0 && values.size(0) != rows))
    fail("[import] {} must have {} rows. Received the shape [{}].", block.name, rows,
         fmt::join(block.shape, ", "));
  return values;
}

// The file's tensors by ours that they are pieces of, in the order of the family's list.
std::map<std::string, std::vector<Tensor>> read_pieces(const TensorFolder& files,
                                                       const Family& family,
                                                       const std::vector<TensorMap>& maps,
                                                       const std::string& where) {
  const Names names(files, family);
  std::map<std::string, int64_t> rows_of, taken;  // of tensors that are several of ours
  for (const TensorMap& map : maps) rows_of[map.theirs] += map.part;
  std::map<std::string, std::vector<Tensor>> pieces;
  std::set<std::string> used;
  for (const TensorMap& map : maps) {
    const std::string name = names.in_file(map.theirs);
    const TensorBlock* block = files.find(name);
    if (!block)
      fail("[import] {} lacks a tensor of {}. Received no {}.", where, family.model_type, name);
    const Tensor values =
        read_one(files, *block, map, map.part > 0 ? rows_of[map.theirs] : map.rows);
    pieces[map.ours].push_back(map.part > 0 ? values.narrow(0, taken[map.theirs], map.part)
                                            : values);
    taken[map.theirs] += map.part;
    used.insert(name);
    if (is_coded(map.form)) used.insert(scale_name(name));
  }
  check_extra(files, family, names, used, where);
  return pieces;
}

}  // namespace

ImportedModel read_model(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  if (!fs::is_regular_file(path))
    fail("[import] {} holds no config.json. Give a folder as Hugging Face models come in.",
         folder.string());
  const Json json = read_config_json(path);
  if (!json.is_object()) fail("[import] {} is no JSON object.", path.string());
  const Json type = json.value("model_type", Json());
  ImportedModel model;
  model.family = &find_family(type.is_string() ? type.get<std::string>() : "");
  model.config = read_config(*model.family, json, path.string());
  const TensorFolder files(folder);
  for (const auto& [name, pieces] :
       read_pieces(files, *model.family, model.family->tensors(model.config.model, json),
                   folder.string())) {
    for (const Tensor& piece : pieces)
      if (piece.dim() != pieces.front().dim() ||
          piece.sizes().slice(1) != pieces.front().sizes().slice(1))
        fail("[import] The parts of {} differ in their inputs: [{}] and [{}].", name,
             fmt::join(pieces.front().sizes().vec(), ", "), fmt::join(piece.sizes().vec(), ", "));
    model.tensors[name] = pieces.size() == 1 ? pieces.front() : at::cat(pieces);
  }
  return model;
}

void fill_weights(const ImportedModel& model, const Decoder& decoder, Tensor row) {
  const Layout& layout = decoder.layout;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const TensorSpec& spec = layout.tensors[i];
    const auto found = model.tensors.find(spec.name);
    if (found == model.tensors.end())
      fail("[import] {} has no tensor for {}.", model.family->model_type, spec.name);
    if (found->second.sizes().vec() != spec.shape)
      fail("[import] {} must have the shape [{}]. Received [{}].", spec.name,
           fmt::join(spec.shape, ", "), fmt::join(found->second.sizes().vec(), ", "));
    view(layout, row.unsqueeze(0), i).select(0, 0).copy_(found->second);
    if (spec.role != Role::tied && layout.factors[i].A != 1.0)
      fail("[import] {} would be multiplied by {}.", spec.name, layout.factors[i].A);
  }
  if (layout.tensors.size() != model.tensors.size())
    fail("[import] {} tensors have no place in a decoder of {}.", model.tensors.size(),
         layout.tensors.size());
}

}  // namespace rung
