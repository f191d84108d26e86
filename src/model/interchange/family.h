// Model families of Hugging Face folders: how config.json and the names of tensors translate, both
// ways. A family is one file and a line in the table.
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "model/interchange/fields.h"

namespace rung {

// How their tensor differs from ours. plus_one: theirs holds gain - 1 (Gemma); filters: theirs is
// [channels, 1, steps]; codes: a ternary map's, times a scale beside them, or over it (packed.h).
enum class Form { same, transposed, plus_one, filters, codes, codes_over };

// One tensor of theirs: `rows` rows of our tensor from `first` on; 0: all. Or, where `part` is not
// 0, that many rows of theirs, behind those of the maps before it, are our tensor.
struct TensorMap {
  std::string ours, theirs;
  int64_t first = 0, rows = 0;
  Form form = Form::same;
  int64_t part = 0;
};

struct Family {
  std::string_view model_type, architecture, summary;
  // The configuration (parametrisation standard at its base shape, model and multipliers) and the
  // vocabulary that config.json describes. Fails on what is not supported.
  RunConfig (*read)(Fields& fields);
  // config.json of a configuration as `read` returns it.
  Json (*write)(const RunConfig& config);
  // Where a folder with this config.json keeps each of our tensors.
  std::vector<TensorMap> (*tensors)(const ModelConfig& model, const Json& config);
  std::string_view prefix;  // of tensor names, which files of the bare model leave out
  std::array<std::string_view, 2> unused;  // endings of tensors that hold no weights
  bool scaled_embedding = false;           // the embedding is multiplied by width^1/2
  bool free_scale = false;                 // config.json has the factor on q.k
  // Makes config.json ask for ternary maps in 2 bits a weight; false: the model has none.
  bool (*pack)(Json& config) = nullptr;
};

std::span<const Family> families();
// Fails, naming the known ones.
const Family& find_family(const std::string& model_type);

}  // namespace rung
