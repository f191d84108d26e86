#include "data/source.h"

#include <mutex>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "data/ids_source.h"
#include "data/prepare.h"
#include "data/synthetic_source.h"
#include "data/text_source.h"

namespace rung {
namespace {

// The shipped text: in the source tree of this build, or beside the program's folder.
fs::path default_text() {
  std::vector<fs::path> places;
#ifdef RUNG_DEFAULT_TEXT
  places.emplace_back(RUNG_DEFAULT_TEXT);
#endif
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error)
    for (fs::path folder = program.parent_path(); folder.has_relative_path();
         folder = folder.parent_path())
      places.push_back(folder / "data" / "docs.txt.xz");
  places.emplace_back("data/docs.txt.xz");
  for (const fs::path& place : places)
    if (fs::is_regular_file(place, error)) return place;
  fail("[data] The default text data/docs.txt.xz was not found. Give --data PATH.");
}

}  // namespace

std::shared_ptr<const TokenSource> open_source(const DataConfig& config, const std::string& cache,
                                               uint64_t language_seed) {
  if (config.path.empty())
    fail_usage("[data] The path of the data is empty. Give text, default or synthetic.");
  if (config.path == "synthetic" || config.path.starts_with("synthetic:"))
    return synthetic_source(parse_synthetic(config.path), language_seed);
  if (config.path == "none") return ids_source(config);
  if (cache.empty()) fail_usage("[data] The cache folder is empty. Name one.");
  static std::mutex mutex;  // threads that open the same text should not both make its shards
  const std::lock_guard lock(mutex);
  const fs::path path = config.path == "default" ? default_text() : fs::path(config.path);
  return text_source(config.path, prepare_text(config, path, cache));
}

int64_t sequence_at(int64_t position, int64_t sequences, uint64_t seed) {
  if (position < 0 || sequences < 1)
    fail("[data] There is no sequence {} of {}.", position, sequences);
  const int64_t epoch = position / sequences;
  const Permutation order(static_cast<uint64_t>(sequences),
                          mix_bits(seed + 0x9e3779b97f4a7c15ull) ^
                              mix_bits(hash_name("order") + static_cast<uint64_t>(epoch)));
  return static_cast<int64_t>(order(static_cast<uint64_t>(position % sequences)));
}

}  // namespace rung
