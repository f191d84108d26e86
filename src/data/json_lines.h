// Lines of a .jsonl file: the field "text" of each object.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace rung {

// Takes the file in blocks and delivers one document a line. Fails with the line's number on a line
// that is no JSON object with a string "text", and on a torn last line.
class JsonLinesReader {
 public:
  JsonLinesReader(std::string name, std::function<void(std::string&&)> deliver)
      : name_(std::move(name)), deliver_(std::move(deliver)) {}
  void feed(std::string_view block);
  void finish();

 private:
  void line(std::string_view text, bool torn);
  std::string name_;
  std::function<void(std::string&&)> deliver_;
  std::string pending_;
  uint64_t number_ = 0;
};

}  // namespace rung
