// Golden folders of tests/golden/make_interchange_golden.py, and models made of them.
#pragma once
#include "core/files.h"
#include "core/safetensors.h"
#include "model/interchange/convert.h"
#include "support/models.h"
#include "support/source_dir.h"
#include "temporary.h"

namespace rung::test {

inline std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path(source_dir()) / "tests/golden/interchange" / name;
}

struct Loaded {
  ImportedModel imported;
  Decoder decoder;
  Tensor weights;  // [1, n]

  Tensor logits(const Tensor& tokens) const {
    const auto bound = bind(decoder.layout, weights, Tensor());
    return token_logits(decoder, bound, tokens.unsqueeze(0),
                        make_ropes(decoder.model, tokens.size(1), weights.options()))[0];
  }
};

inline Loaded load_folder(const std::filesystem::path& folder) {
  Loaded loaded{.imported = read_model(folder), .decoder = {}, .weights = {}};
  const RunConfig& config = loaded.imported.config;
  loaded.decoder = make_decoder(config, config.data.vocabulary);
  loaded.weights = at::zeros({1, loaded.decoder.layout.stride}, at::kFloat);
  fill_weights(loaded.imported, loaded.decoder, loaded.weights[0]);
  return loaded;
}

inline Tensor read_tensor(const std::filesystem::path& file, const std::string& name) {
  const Safetensors opened(file);
  const TensorBlock& block = opened.at(name);
  Tensor t = at::empty(block.shape, block.dtype == "I64" ? at::kLong : at::kFloat);
  std::memcpy(t.mutable_data_ptr(), block.bytes.data(), block.bytes.size());
  return t;
}

// The bounds of interchange: largest and median difference over the mean size.
inline void check_logits(const Tensor& got, const Tensor& want) {
  const Tensor gap = (got - want).abs() / want.abs().mean();
  CHECK(gap.max().item<double>() < 1e-4);
  CHECK(gap.median().item<double>() < 1e-5);
}

}  // namespace rung::test
