#include "data/json_lines.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_reason.h"

namespace rung {
namespace {

using PlainJson = nlohmann::json;

constexpr size_t longest_line = size_t{1} << 28;

// Keeps only the top level's "text": no tree is built.
struct TextField : nlohmann::json_sax<PlainJson> {
  std::string text, message, other;  // other: a string field of another name, if there is one
  std::string name;                  // of the top level's field that is being read
  size_t longest_other = 0;
  int depth = 0;
  bool wanted = false, found = false, object = false;

  bool scalar() {
    wanted = false;
    return true;
  }
  bool null() override { return scalar(); }
  bool boolean(bool) override { return scalar(); }
  bool number_integer(number_integer_t) override { return scalar(); }
  bool number_unsigned(number_unsigned_t) override { return scalar(); }
  bool number_float(number_float_t, const string_t&) override { return scalar(); }
  bool binary(binary_t&) override { return scalar(); }
  bool string(string_t& value) override {
    if (wanted) {
      text = std::move(value);
      found = true;
    } else if (object && depth == 1 && value.size() > longest_other) {
      longest_other = value.size();
      other = name;
    }
    return scalar();
  }
  bool start_object(std::size_t) override {
    object = object || depth == 0;
    wanted = false;
    ++depth;
    return true;
  }
  bool key(string_t& key) override {
    wanted = object && depth == 1 && key == "text";
    if (object && depth == 1) name = key;
    return true;
  }
  bool end_object() override {
    --depth;
    return true;
  }
  bool start_array(std::size_t) override {
    wanted = false;
    ++depth;
    return true;
  }
  bool end_array() override {
    --depth;
    return true;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    message = json_reason(error);
    return false;
  }
};

}  // namespace

void JsonLinesReader::feed(std::string_view block) {
  for (;;) {
    const size_t end = block.find('\n');
    if (end == block.npos) break;
    if (pending_.empty()) {
      line(block.substr(0, end), false);
    } else {
      pending_.append(block.substr(0, end));
      line(pending_, false);
      pending_.clear();
    }
    block.remove_prefix(end + 1);
  }
  pending_.append(block);
  if (pending_.size() > longest_line)
    fail("[data] {} line {} is longer than 256 MiB. Put one document on a line.", name_,
         number_ + 1);
}

void JsonLinesReader::finish() {
  if (!pending_.empty()) line(pending_, true);
  pending_.clear();
}

void JsonLinesReader::line(std::string_view text, bool torn) {
  ++number_;
  if (text.find_first_not_of(" \t\r") == text.npos) return;
  TextField field;
  if (!PlainJson::sax_parse(text.begin(), text.end(), &field)) {
    if (torn)
      fail(
          "[data] {} is truncated: its last line {} is torn. Drop that line or copy the file "
          "again.",
          name_, number_);
    fail(
        "[data] {} line {} is not JSON. Received: {}. Give one object with a field \"text\" a "
        "line.",
        name_, number_, field.message);
  }
  if (!field.found)
    fail("[data] {} line {} has no string field \"text\". Received {}...{}", name_, number_,
         std::string(text.substr(0, 60)),
         field.other.empty()
             ? ""
             : fmt::format(" Rename \"{0}\", as jq -c '{{text: .[\"{0}\"]}}' does.", field.other));
  if (field.text.find('\0') != std::string::npos)
    fail("[data] {} line {} is binary: its text holds a NUL character. Drop that line.", name_,
         number_);
  deliver_(std::move(field.text));
}

}  // namespace rung
