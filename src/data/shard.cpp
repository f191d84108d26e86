#include "data/shard.h"

#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>

#include "core/error.h"
#include "core/random.h"

namespace rung {
namespace {

static_assert(std::endian::native == std::endian::little, "shards are mapped as they lie on disk");

constexpr char magic[8] = "RUNGTOK";
constexpr uint32_t version = 1;
constexpr size_t block_bytes = size_t{1} << 20;

// A checksum at memory speed, four lanes of multiply and rotate; damage is what it finds, not
// malice.
uint64_t block_hash(const std::byte* data, size_t size, uint64_t seed) {
  std::array<uint64_t, 4> lane{seed, ~seed, seed + 0x9e3779b97f4a7c15ull,
                               seed ^ 0xd1b54a32d192ed03ull};
  size_t i = 0;
  for (; i + 32 <= size; i += 32) {
    std::array<uint64_t, 4> word;
    std::memcpy(word.data(), data + i, 32);
    for (size_t k = 0; k < 4; ++k)
      lane[k] = std::rotl((lane[k] ^ word[k]) * 0x9fb21c651e98df25ull, 29);
  }
  uint64_t hash = size;
  for (; i < size; ++i) hash = (hash ^ static_cast<uint64_t>(data[i])) * 0x100000001b3ull;
  for (const uint64_t value : lane) hash = mix_bits(hash ^ value) + value;
  return hash;
}

uint64_t hash_blocks(std::span<const std::byte> data) {
  uint64_t hash = 0;
  for (size_t i = 0; i < data.size(); i += block_bytes)
    hash = block_hash(data.data() + i, std::min(block_bytes, data.size() - i), hash);
  return hash;
}

uint64_t hash_header(const ShardHeader& header) {
  return block_hash(reinterpret_cast<const std::byte*>(&header), offsetof(ShardHeader, header_hash),
                    1);
}

uint64_t hash_tail(std::span<const uint64_t> ends, std::span<const uint64_t> counts) {
  return hash_blocks(std::as_bytes(ends)) ^ mix_bits(hash_blocks(std::as_bytes(counts)) + 1);
}

uint64_t padded(uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}

std::string temporary_name() {
  static std::atomic<uint64_t> next{0};
  return fmt::format("shard-{}-{}.tmp", ::getpid(), next++);
}

}  // namespace

ShardWriter::ShardWriter(fs::path folder, int64_t vocabulary, bool keep_ends)
    : file_(folder / temporary_name(), "token shards to " + folder.string(),
            "Free some space or choose another folder."),
      keep_ends_(keep_ends),
      counts_(static_cast<size_t>(vocabulary)) {
  std::memcpy(header_.magic, magic, sizeof magic);
  header_.version = version;
  header_.vocabulary = static_cast<uint64_t>(vocabulary);
  header_.token_bytes = vocabulary <= 65536 ? 2 : 4;
  buffer_.reserve(block_bytes);
  file_.write(&header_, sizeof header_);
}

void ShardWriter::flush() {
  header_.token_hash = block_hash(buffer_.data(), buffer_.size(), header_.token_hash);
  file_.write(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void ShardWriter::append(std::span<const int32_t> tokens, uint64_t text_bytes) {
  const size_t width = header_.token_bytes;
  for (const int32_t token : tokens) {
    ++counts_[static_cast<size_t>(token)];
    const size_t at = buffer_.size();
    buffer_.resize(at + width);  // within the reserve: a block holds a whole number of tokens
    std::memcpy(buffer_.data() + at, &token, width);
    if (buffer_.size() == block_bytes) flush();
  }
  header_.tokens += tokens.size();
  header_.text_bytes += text_bytes;
  ++header_.documents;
  if (keep_ends_) ends_.push_back(header_.tokens);
}

void ShardWriter::commit(const fs::path& path, const std::string& content) {
  if (!buffer_.empty()) flush();
  const std::array<std::byte, 8> zeros{};
  const uint64_t token_bytes = header_.tokens * header_.token_bytes;
  file_.write(zeros.data(), padded(token_bytes) - token_bytes);
  file_.write(ends_.data(), ends_.size() * sizeof(uint64_t));
  file_.write(counts_.data(), counts_.size() * sizeof(uint64_t));
  header_.ends = ends_.size();
  header_.tail_hash = hash_tail(ends_, counts_);
  content.copy(header_.content, sizeof header_.content);
  header_.header_hash = hash_header(header_);
  file_.rewind();
  file_.write(&header_, sizeof header_);
  file_.commit(path);
}

std::optional<Shard> Shard::open(const fs::path& path, const std::string& content,
                                 int64_t vocabulary) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  Shard shard;
  shard.file_ = MappedFile(path);
  if (!shard.check(content, vocabulary)) return std::nullopt;
  return shard;
}

bool Shard::check(const std::string& content, int64_t vocabulary) {
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < sizeof header_) return false;
  std::memcpy(&header_, bytes.data(), sizeof header_);
  if (header_.header_hash != hash_header(header_) || header_.version != version ||
      std::memcmp(header_.magic, magic, sizeof magic) != 0)
    return false;
  if (header_.vocabulary != static_cast<uint64_t>(vocabulary) ||
      std::string_view(header_.content, sizeof header_.content) !=
          content.substr(0, sizeof header_.content))
    return false;
  const uint64_t token_bytes = header_.tokens * header_.token_bytes;
  const uint64_t tail = sizeof header_ + padded(token_bytes);
  if (bytes.size() != tail + 8 * (header_.ends + header_.vocabulary)) return false;
  data_ = bytes.subspan(sizeof header_, token_bytes);
  const auto* words = reinterpret_cast<const uint64_t*>(bytes.data() + tail);
  ends_ = {words, header_.ends};
  counts_ = {words + header_.ends, header_.vocabulary};
  return hash_tail(ends_, counts_) == header_.tail_hash && hash_blocks(data_) == header_.token_hash;
}

void Shard::copy(int64_t begin, std::span<int32_t> out) const {
  if (begin < 0 || begin + static_cast<int64_t>(out.size()) > tokens())
    fail("[data] Tokens {} to {} lie outside a shard of {}.", begin,
         begin + static_cast<int64_t>(out.size()), tokens());
  const auto read = [&]<class Token>(const Token* from) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int32_t>(from[i]);
  };
  const std::byte* at = data_.data() + static_cast<size_t>(begin) * header_.token_bytes;
  if (header_.token_bytes == 2) {
    read(reinterpret_cast<const uint16_t*>(at));
  } else {
    read(reinterpret_cast<const uint32_t*>(at));
  }
}

}  // namespace rung
