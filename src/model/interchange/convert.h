// Models from and to Hugging Face folders: the configuration and the weights. Tokenizers are the
// matter of src/study/interchange.h.
#pragma once
#include <filesystem>

#include "model/interchange/family.h"
#include "model/interchange/fold.h"

namespace rung {

struct ImportedModel {
  const Family* family = nullptr;
  RunConfig config;      // data.vocabulary is the model's
  NamedTensors tensors;  // by our names
};

// Fails, naming the field, on what config.json asks for and Rung lacks; naming the tensor, on
// missing, extra and misshapen ones.
ImportedModel read_model(const std::filesystem::path& folder);

// Puts an imported model's tensors into the weights [n] of a member of its decoder.
void fill_weights(const ImportedModel& model, const Decoder& decoder, at::Tensor row);

// Writes config.json and model.safetensors of one member, as the family that has all of its model,
// and returns that. Fails where none has, naming what the nearest lacks. The folder must exist.
// `end_of_text`: the token behind documents, -1 where there is none. `packed`: ternary maps as
// codes of 2 bits, which fails where the model has none.
const Family& write_model(const RunConfig& config, const Decoder& decoder, const at::Tensor& row,
                          int64_t end_of_text, const std::filesystem::path& folder,
                          bool packed = false);

}  // namespace rung
