// Documents of a text file, a folder, a .jsonl, or any of these compressed, handed over one at a
// time.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace rung {

// One file of the data, as it stands on disk.
struct TextFile {
  std::filesystem::path path;
  std::string relative;  // to the folder; the file's name when the data is one file
  uint64_t size = 0;     // bytes on disk
  int64_t changed = 0;   // modification time, nanoseconds
};

// The files behind a path: itself, or every file below the folder sorted by relative path (names
// that begin with a dot are left out). Fails when the path is missing, or the folder holds no file.
std::vector<TextFile> list_text_files(const std::filesystem::path& path);

using OnDocument = std::function<void(std::string&&)>;

// Calls `on_document` for each document, in order; blank ones are left out. A document is a file of
// a folder, a line of a .jsonl (its field "text"), or in one text file a piece between form feeds,
// else between `# ` headings at line start, else 16 KiB cut at a blank line. Which of the three
// holds is decided on the file's first 4 MiB; a document beyond 16 MiB is cut at a blank line.
// Fails on empty, binary, damaged or truncated data. Returns the text's bytes.
uint64_t read_documents(const std::filesystem::path& path, const OnDocument& on_document);

}  // namespace rung
