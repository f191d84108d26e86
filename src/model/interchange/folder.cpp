#include "model/interchange/folder.h"

#include <ATen/ops/from_blob.h>

#include <set>

#include "core/error.h"
#include "core/files.h"

namespace rung {

using at::Tensor;

namespace {

constexpr const char* single = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";

// From file to the tensors that the index places there.
std::map<std::string, std::set<std::string>> read_index(const fs::path& path) {
  const Json json = read_json(path);
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object())
    fail("[import] {} has no weight_map.", path.string());
  std::map<std::string, std::set<std::string>> files;
  for (const auto& [name, file] : json.at("weight_map").items()) {
    const std::string text = file.is_string() ? file.get<std::string>() : "";
    if (text.empty() || text.find('/') != text.npos || text.find('\\') != text.npos)
      fail("[import] {} names a file outside the folder. Received {} for {}.", path.string(),
           file.dump(), name);
    files[text].insert(name);
  }
  return files;
}

}  // namespace

TensorFolder::TensorFolder(const fs::path& folder) {
  if (fs::exists(folder / single)) {
    files_.push_back(std::make_unique<Safetensors>(folder / single));
    return;
  }
  if (!fs::exists(folder / index_name))
    fail("[import] {} holds neither {} nor {}. Other formats of weights are not read.",
         folder.string(), single, index_name);
  for (const auto& [file, names] : read_index(folder / index_name)) {
    files_.push_back(std::make_unique<Safetensors>(folder / file));
    std::set<std::string> held;
    for (const TensorBlock& block : files_.back()->blocks()) held.insert(block.name);
    for (const std::string& name : names)
      if (!held.contains(name))
        fail("[import] {} lacks a tensor that the index places there. Received {}.",
             (folder / file).string(), name);
    for (const std::string& name : held)
      if (!names.contains(name))
        fail("[import] {} holds a tensor that the index does not place there. Received {}.",
             (folder / file).string(), name);
  }
}

const TensorBlock* TensorFolder::find(const std::string& name) const {
  for (const auto& file : files_)
    if (const TensorBlock* block = file->find(name)) return block;
  return nullptr;
}

std::vector<std::string> TensorFolder::names() const {
  std::vector<std::string> names;
  for (const auto& file : files_)
    for (const TensorBlock& block : file->blocks()) names.push_back(block.name);
  return names;
}

Tensor floating_tensor(const TensorBlock& block) {
  const std::pair<const char*, at::ScalarType> types[] = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}};
  for (const auto& [name, type] : types) {
    if (block.dtype != name) continue;
    // A copy: the file is mapped read-only, and its tensors need not be aligned.
    Tensor values = at::empty(block.shape, type);
    std::memcpy(values.mutable_data_ptr(), block.bytes.data(), block.bytes.size());
    return type == at::kDouble ? values : values.to(at::kFloat);
  }
  fail("[import] Tensors of the type {} are not read. Received {}.", block.dtype, block.name);
}

void write_tensors(const fs::path& folder, const NamedTensors& tensors) {
  std::vector<Tensor> kept;
  std::vector<TensorBlock> blocks;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.contiguous());
    const Tensor& t = kept.back();
    const at::ScalarType type = t.scalar_type();
    blocks.push_back({name,
                      type == at::kDouble ? "F64"
                      : type == at::kByte ? "U8"
                                          : "F32",
                      t.sizes().vec(),
                      {static_cast<const std::byte*>(t.const_data_ptr()), t.nbytes()}});
  }
  write_safetensors(folder / single, blocks, {{"format", "pt"}});
}

}  // namespace rung
