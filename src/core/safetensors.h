// safetensors files without torch: named, typed, shaped blocks of bytes.
// Layout: u64 LE header length, JSON header padded with spaces to 8 bytes, then the data without
// holes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"

namespace rung {

struct TensorBlock {
  std::string name;
  std::string dtype;  // "F64", "F32", "BF16", "F16", "I64", "I32", "U8", ...
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// Bytes of one element; fails for a type that safetensors does not know.
int64_t dtype_size(const std::string& dtype);

// Writes blocks in the given order, with fsync and rename. `metadata` becomes __metadata__.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorBlock> blocks,
                       const std::map<std::string, std::string>& metadata = {});

// A memory-mapped file whose header was checked: types, shapes, offsets against the file's size, no
// overlaps.
class Safetensors {
 public:
  explicit Safetensors(const std::filesystem::path& path);
  const std::vector<TensorBlock>& blocks() const { return blocks_; }
  const TensorBlock* find(const std::string& name) const;
  const TensorBlock& at(const std::string& name) const;  // fails, naming the file and the tensor
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::vector<TensorBlock> blocks_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace rung
