#include "data/read_text.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "data/byte_stream.h"
#include "data/cut_text.h"
#include "data/json_lines.h"
#include "data/text_check.h"

namespace rung {
namespace fs = std::filesystem;
namespace {

TextFile describe_file(const fs::path& path, std::string relative) {
  std::error_code error;
  TextFile file{path, std::move(relative), fs::file_size(path, error), 0};
  if (error) fail("[data] Cannot read {}: {}.", path.string(), error.message());
  file.changed = fs::last_write_time(path, error).time_since_epoch().count();
  return file;
}

bool is_json_lines(const fs::path& path) {
  const std::string ending = fs::path(unpacked_name(path)).extension().string();
  return ending == ".jsonl" || ending == ".ndjson";
}

// Feeds a file's blocks to a cutter, checked to be text. Returns its bytes.
template <class Sink>
uint64_t feed_file(const fs::path& path, Sink& sink) {
  const std::unique_ptr<ByteStream> stream = open_bytes_ahead(path);
  TextCheck check(path.string());
  std::string block(size_t{1} << 20, '\0');
  uint64_t bytes = 0;
  for (;;) {
    const size_t got = stream->read(block.data(), block.size());
    if (got == 0) break;
    std::string_view view(block.data(), got);
    check.feed(view);
    if (bytes == 0 && view.starts_with("\xEF\xBB\xBF")) view.remove_prefix(3);  // byte order mark
    bytes += got;
    sink.feed(view);
  }
  check.finish();
  sink.finish();
  return bytes;
}

}  // namespace

std::vector<TextFile> list_text_files(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) fail("[data] {} does not exist. Check the path.", path.string());
  std::vector<TextFile> files;
  if (!fs::is_directory(path)) {
    if (!fs::is_regular_file(path))
      fail("[data] {} is neither a file nor a folder. Give text.", path.string());
    files.push_back(describe_file(path, path.filename().string()));
    return files;
  }
  for (fs::recursive_directory_iterator it(path, error), end; it != end; it.increment(error)) {
    if (error) break;
    const bool hidden = it->path().filename().string().starts_with('.');
    if (hidden && it->is_directory()) it.disable_recursion_pending();
    if (hidden || !it->is_regular_file()) continue;
    files.push_back(
        describe_file(it->path(), it->path().lexically_relative(path).generic_string()));
  }
  if (error) fail("[data] Cannot list {}: {}.", path.string(), error.message());
  if (files.empty())
    fail("[data] The folder {} holds no files. Give a folder of text.", path.string());
  std::ranges::sort(files, {}, &TextFile::relative);
  return files;
}

uint64_t read_documents(const fs::path& path, const OnDocument& on_document) {
  const std::vector<TextFile> files = list_text_files(path);
  const bool folder = fs::is_directory(path);
  uint64_t bytes = 0, documents = 0;
  const OnDocument deliver = [&](std::string&& text) {
    if (text.find_first_not_of(" \t\r\n\v\f") == std::string::npos) return;
    ++documents;
    on_document(std::move(text));
  };
  for (const TextFile& file : files) {
    if (file.size == 0) continue;
    if (is_json_lines(file.path)) {
      JsonLinesReader reader(file.path.string(), deliver);
      bytes += feed_file(file.path, reader);
    } else {
      TextCutter cutter(folder ? CutRule::whole : CutRule::by_content, deliver);
      bytes += feed_file(file.path, cutter);
    }
  }
  if (documents == 0)
    fail("[data] {} is empty: it holds no text. Received {} bytes in {} file(s).", path.string(),
         bytes, files.size());
  return bytes;
}

}  // namespace rung
