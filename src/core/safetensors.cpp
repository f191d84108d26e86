#include "core/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "core/json_reason.h"
#include "core/pending_file.h"

static_assert(std::endian::native == std::endian::little,
              "the data blocks are written as they lie");

namespace rung {
namespace {

struct DType {
  std::string_view name;
  int64_t size;
};
constexpr std::array dtypes = {
    DType{"F64", 8}, DType{"F32", 4}, DType{"F16", 2},  DType{"BF16", 2},    DType{"I64", 8},
    DType{"I32", 4}, DType{"I16", 2}, DType{"I8", 1},   DType{"U64", 8},     DType{"U32", 4},
    DType{"U16", 2}, DType{"U8", 1},  DType{"BOOL", 1}, DType{"F8_E4M3", 1}, DType{"F8_E5M2", 1}};
constexpr uint64_t largest_header = 100'000'000;  // the limit of the reference implementation

// Bytes that a tensor needs, or -1 where a size is negative or the product leaves 63 bits.
int64_t byte_count(const std::vector<int64_t>& shape, int64_t element) {
  int64_t count = element;
  for (const int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  return count;
}

// Everything that makes the header of one file, as text padded to 8 bytes.
std::string header_text(std::span<const TensorBlock> blocks,
                        const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const TensorBlock& block : blocks) {
    if (header.contains(block.name) || block.name == "__metadata__")
      fail("[safetensors] Tensor names must differ. Received {} twice.", block.name);
    if (byte_count(block.shape, dtype_size(block.dtype)) !=
        static_cast<int64_t>(block.bytes.size()))
      fail("[safetensors] Shape and bytes of {} disagree. Received {} bytes.", block.name,
           block.bytes.size());
    header[block.name] = {{"dtype", block.dtype},
                          {"shape", block.shape},
                          {"data_offsets", {offset, offset + block.bytes.size()}}};
    offset += block.bytes.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

// One entry of a header; `where` names the file and the tensor in errors.
TensorBlock read_block(const std::string& name, const Json& entry, std::span<const std::byte> data,
                       const std::string& where) {
  const auto whole = [](const Json& list) {
    return list.is_array() && std::all_of(list.begin(), list.end(),
                                          [](const Json& v) { return v.is_number_unsigned(); });
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string())
    fail("[safetensors] {}: no dtype.", where);
  if (!entry.contains("shape") || !whole(entry["shape"]))
    fail("[safetensors] {}: shape is no list of whole numbers.", where);
  if (!entry.contains("data_offsets") || !whole(entry["data_offsets"]) ||
      entry["data_offsets"].size() != 2)
    fail("[safetensors] {}: data_offsets is no pair of whole numbers.", where);
  TensorBlock block{name, entry["dtype"].get<std::string>(), {}, {}};
  for (const Json& size : entry["shape"]) {
    if (size.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      fail("[safetensors] {}: the shape is too large.", where);
    block.shape.push_back(size.get<int64_t>());
  }
  const auto known = [&](const DType& d) { return d.name == block.dtype; };
  if (std::none_of(dtypes.begin(), dtypes.end(), known))
    fail("[safetensors] {}: unknown dtype {}.", where, block.dtype);
  const auto begin = entry["data_offsets"][0].get<uint64_t>();
  const auto end = entry["data_offsets"][1].get<uint64_t>();
  if (begin > end || end > data.size())
    fail("[safetensors] {}: offsets {}..{} leave the data of {} bytes.", where, begin, end,
         data.size());
  const int64_t wanted = byte_count(block.shape, dtype_size(block.dtype));
  if (wanted < 0 || static_cast<uint64_t>(wanted) != end - begin)
    fail("[safetensors] {}: shape and dtype want {} bytes, the offsets span {}.", where, wanted,
         end - begin);
  block.bytes = data.subspan(begin, end - begin);
  return block;
}

// Offsets must tile the data: no overlap, no hole, nothing behind the last tensor.
void check_tiling(std::vector<TensorBlock> blocks, std::span<const std::byte> data,
                  const std::string& file) {
  std::sort(blocks.begin(), blocks.end(), [](const TensorBlock& a, const TensorBlock& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  const std::byte* expected = data.data();
  for (const TensorBlock& block : blocks) {
    if (block.bytes.data() != expected)
      fail("[safetensors] {}: {} before tensor {}.", file,
           block.bytes.data() < expected ? "an overlap" : "a hole", block.name);
    expected += block.bytes.size();
  }
  if (expected != data.data() + data.size())
    fail("[safetensors] {}: {} bytes behind the last tensor.", file,
         data.data() + data.size() - expected);
}

// The header as JSON; names that stand twice are refused, since a parser would keep one silently.
Json parse_header(std::string_view text, const std::string& file) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, Json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second)
      twice = value.get<std::string>();
    return true;
  };
  Json header;
  try {
    header = Json::parse(text, watch);
  } catch (const Json::exception& error) {
    fail("[safetensors] {}: the header is not JSON: {}.", file, json_reason(error));
  }
  if (!twice.empty()) fail("[safetensors] {}: {} stands twice in the header.", file, twice);
  if (!header.is_object()) fail("[safetensors] {}: the header is no JSON object.", file);
  return header;
}

}  // namespace

int64_t dtype_size(const std::string& dtype) {
  for (const DType& known : dtypes)
    if (known.name == dtype) return known.size;
  fail("[safetensors] Unknown dtype. Received {}.", dtype);
}

void write_safetensors(const fs::path& path, std::span<const TensorBlock> blocks,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_text(blocks, metadata);
  const uint64_t length = header.size();
  PendingFile file(path.string() + ".tmp", path.string());
  file.write(&length, sizeof length);
  file.write(header);
  for (const TensorBlock& block : blocks) file.write(block.bytes.data(), block.bytes.size());
  file.commit(path);
}

Safetensors::Safetensors(const fs::path& path) : path_(path), file_(path) {
  const std::span<const std::byte> all = file_.bytes();
  const std::string name = path.string();
  if (all.size() < 8) fail("[safetensors] {}: {} bytes hold no header.", name, all.size());
  uint64_t length = 0;
  std::memcpy(&length, all.data(), sizeof length);
  if (length > largest_header || length > all.size() - 8)
    fail(
        "[safetensors] {}: a header of {} bytes in a file of {}; it is cut off or no safetensors "
        "file.",
        name, length, all.size());
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + 8, length);
  if (text.empty() || text.front() != '{')
    fail("[safetensors] {}: the header does not begin with a brace.", name);
  const Json header = parse_header(text, name);
  const std::span<const std::byte> data = all.subspan(8 + length);
  for (const auto& [key, entry] : header.items()) {
    if (key != "__metadata__") {
      blocks_.push_back(read_block(key, entry, data, name + ", tensor " + key));
      continue;
    }
    if (!entry.is_object()) fail("[safetensors] {}: __metadata__ is no object.", name);
    for (const auto& [word, value] : entry.items()) {
      if (!value.is_string()) fail("[safetensors] {}: metadata {} is no string.", name, word);
      metadata_[word] = value.get<std::string>();
    }
  }
  check_tiling(blocks_, data, name);
}

const TensorBlock* Safetensors::find(const std::string& name) const {
  for (const TensorBlock& block : blocks_)
    if (block.name == name) return &block;
  return nullptr;
}

const TensorBlock& Safetensors::at(const std::string& name) const {
  if (const TensorBlock* block = find(name)) return *block;
  fail("[safetensors] {} holds no tensor {}.", path_.string(), name);
}

}  // namespace rung
