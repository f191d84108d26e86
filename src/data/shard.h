// A token shard: one part (training or held-out) of tokenised data in one memory-mapped file.
// Layout, little-endian: header of 128 bytes; tokens (u16 or u32), padded to 8 bytes; ends of
// documents (u64, one past each document's separator; held-out part only); how often each token
// occurs (u64 x vocabulary).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/pending_file.h"

namespace rung {

struct ShardHeader {
  char magic[8];  // "RUNGTOK" and a zero
  uint32_t version;
  uint32_t token_bytes;  // 2 or 4
  uint64_t vocabulary;
  uint64_t tokens;
  uint64_t documents;
  uint64_t ends;  // documents whose ends are stored: `documents` or 0
  uint64_t text_bytes;
  uint64_t token_hash;  // of the tokens
  uint64_t tail_hash;   // of ends and counts
  char content[32];     // first half of the content's SHA-256, hexadecimal
  uint64_t padding[2];
  uint64_t header_hash;  // of the bytes before it
};
static_assert(sizeof(ShardHeader) == 128);

// Writes a shard as a stream: append documents, then commit. Without commit nothing is left behind.
class ShardWriter {
 public:
  ShardWriter(std::filesystem::path folder, int64_t vocabulary, bool keep_ends);
  // One document, separator included.
  void append(std::span<const int32_t> tokens, uint64_t text_bytes);
  uint64_t tokens() const { return header_.tokens; }
  uint64_t documents() const { return header_.documents; }
  // Writes what is left, waits for the disk and renames the file to `path`.
  void commit(const std::filesystem::path& path, const std::string& content);

 private:
  void flush();
  ShardHeader header_{};
  PendingFile file_;
  bool keep_ends_;
  std::vector<uint64_t> ends_, counts_;
  std::vector<std::byte> buffer_;
};

// A shard opened for reading; copies of windows only.
class Shard {
 public:
  // Nothing when the file is missing, damaged, or of another content or vocabulary: the caller
  // builds it again.
  static std::optional<Shard> open(const std::filesystem::path& path, const std::string& content,
                                   int64_t vocabulary);
  int64_t tokens() const { return static_cast<int64_t>(header_.tokens); }
  int64_t documents() const { return static_cast<int64_t>(header_.documents); }
  int64_t text_bytes() const { return static_cast<int64_t>(header_.text_bytes); }
  // Copies tokens begin, begin + 1, ... into `out`; the range lies inside the shard.
  void copy(int64_t begin, std::span<int32_t> out) const;
  std::span<const uint64_t> ends() const { return ends_; }
  std::span<const uint64_t> counts() const { return counts_; }  // by token

 private:
  bool check(const std::string& content, int64_t vocabulary);
  MappedFile file_;
  ShardHeader header_{};
  std::span<const std::byte> data_;
  std::span<const uint64_t> ends_, counts_;
};

}  // namespace rung
