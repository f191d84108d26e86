// The files of a Hugging Face folder: config.json, and tensors in one safetensors file or in shards
// that an index lists.
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "core/json.h"
#include "core/safetensors.h"
#include "model/interchange/fold.h"

namespace rung {

class TensorFolder {
 public:
  // Opens model.safetensors, or the files of model.safetensors.index.json, whose map must agree
  // with what they hold.
  explicit TensorFolder(const std::filesystem::path& folder);
  const TensorBlock* find(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  std::vector<std::unique_ptr<Safetensors>> files_;
};

// The values of a tensor of any floating type as fp32 (fp64 stays).
at::Tensor floating_tensor(const TensorBlock& block);

// Writes tensors of fp32, fp64 or bytes as FOLDER/model.safetensors.
void write_tensors(const std::filesystem::path& folder, const NamedTensors& tensors);

}  // namespace rung
