// From text on disk to token shards in the cache folder.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "config/config.h"
#include "data/shard.h"
#include "data/tokenizer.h"

namespace rung {

struct PreparedText {
  std::shared_ptr<const Tokenizer> tokenizer;
  Shard train, held_out;
  std::string content;          // SHA-256 over the digests of all documents in order
  std::filesystem::path model;  // tokenizer.model in the cache, or as given; empty for bytes
  std::filesystem::path train_path, held_out_path;
};

// Opens the shards of `path`, making what is missing or damaged: one pass over the text, two when a
// tokenizer has to be trained. A later call with the same files (path, size, time of change) reads
// no text at all.
PreparedText prepare_text(const DataConfig& config, const std::filesystem::path& path,
                          const std::filesystem::path& cache);

}  // namespace rung
