// Goldens of whole models: a configuration in the metadata, weights, and what they give.
#pragma once
#include <cstring>

#include "config/resolve.h"
#include "core/safetensors.h"
#include "support/models.h"
#include "support/source_dir.h"

namespace rung::test {

struct GoldenModel {
  explicit GoldenModel(const std::string& name)
      : file(std::filesystem::path(source_dir()) / "tests/golden" / (name + ".safetensors")) {
    for (const auto& [key, value] : file.metadata())
      if (key != "vocabulary") apply_setting(config, key, value);
    vocabulary = std::stoll(file.metadata().at("vocabulary"));
  }
  Tensor tensor(const std::string& name) const {
    const TensorBlock& block = file.at(name);
    Tensor t = at::empty(block.shape, block.dtype == "I64" ? at::kLong : at::kDouble);
    std::memcpy(t.mutable_data_ptr(), block.bytes.data(), block.bytes.size());
    return t;
  }
  // The model with the golden's weights.
  Model model(at::ScalarType type) const {
    Model made = make_model(config, vocabulary, type);
    const Layout& layout = made.decoder.layout;
    for (size_t i = 0; i < layout.tensors.size(); ++i)
      view(layout, made.weights, i).copy_(tensor("weight:" + layout.tensors[i].name).unsqueeze(0));
    return made;
  }
  Batch batch() const {
    const Tensor windows = tensor("windows").unsqueeze(0);
    const int64_t context = config.model.context;
    return {windows.narrow(2, 0, context).contiguous(), windows.narrow(2, 1, context).contiguous()};
  }
  void check_gradients(const Model& made, double tolerance) const {
    const Layout& layout = made.decoder.layout;
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      CAPTURE(layout.tensors[i].name);
      CHECK(distance(view(layout, made.gradient, i)[0],
                     tensor("gradient:" + layout.tensors[i].name)) < tolerance);
    }
  }
  Safetensors file;
  RunConfig config;
  int64_t vocabulary = 0;
};

}  // namespace rung::test
