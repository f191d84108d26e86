#include "core/events.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"

namespace rung {
namespace {

// Offset behind the last line that ends; a crash tears at most the one after it.
size_t whole_lines(const std::string& text) {
  const size_t end = text.rfind('\n');
  return end == std::string::npos ? 0 : end + 1;
}

// The few bits of protobuf that an event needs: varint, double, float and length-delimited fields.
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

template <class T>
void put_bytes(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  out.append(bytes.data(), bytes.size());
}

template <class T>
void put_fixed(std::string& out, int field, T value) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | (sizeof(T) == 8 ? 1u : 5u));
  put_bytes(out, value);
}

void put_text(std::string& out, int field, std::string_view text) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | 2u);
  put_varint(out, text.size());
  out += text;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A TFRecord: u64 length, masked CRC of it, the bytes, masked CRC of them.
std::string record(const std::string& event) {
  std::string head, out;
  put_bytes(head, static_cast<uint64_t>(event.size()));
  out = head;
  put_bytes(out, masked_crc32c(head));
  out += event;
  put_bytes(out, masked_crc32c(event));
  return out;
}

}  // namespace

JsonLog::JsonLog(std::filesystem::path path) : path_(std::move(path)) {
  if (!fs::exists(path_)) return;
  const std::string text = read_file(path_);
  const size_t whole = whole_lines(text);
  if (whole == text.size()) return;
  std::error_code error;
  fs::resize_file(path_, whole, error);
  if (error)
    fail("[log] Cannot drop the torn last line of {}: {}.", path_.string(), error.message());
}

void JsonLog::write(const Json& event, bool sync) {
  append_file(path_, event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", sync);
}

std::vector<Json> read_json_lines(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  const size_t whole = whole_lines(text);
  std::vector<Json> events;
  for (size_t begin = 0, line = 1; begin < whole; ++line) {
    const size_t end = text.find('\n', begin);
    try {
      if (end > begin) events.push_back(Json::parse(text.substr(begin, end - begin)));
    } catch (const Json::exception& error) {
      fail("[log] {}, line {} is not JSON: {}.", path.string(), line, json_reason(error));
    }
    begin = end + 1;
  }
  return events;
}

struct TensorBoard::State {
  fs::path path;
  std::string pending;
};

TensorBoard::TensorBoard(const std::filesystem::path& folder) : state_(std::make_unique<State>()) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) std::strcpy(host.data(), "host");
  const auto seconds = static_cast<int64_t>(wall_time());
  // Two files begun within a second differ in their last part.
  for (int part = 0;; ++part) {
    state_->path = folder / fmt::format("events.out.tfevents.{}.{}.{}", seconds, host.data(), part);
    if (!fs::exists(state_->path)) break;
  }
  std::string event;
  put_fixed(event, 1, wall_time());
  put_text(event, 3, "brain.Event:2");
  state_->pending = record(event);
  flush();
}

TensorBoard::~TensorBoard() {
  try {
    flush();
  } catch (const Error&) {  // a full disk shows at the next explicit flush, not in a destructor
  }
}

void TensorBoard::scalar(const std::string& tag, int64_t step, double value) {
  std::string scalar, summary, event;
  put_text(scalar, 1, tag);
  put_fixed(scalar, 2, static_cast<float>(value));
  put_text(summary, 1, scalar);
  put_fixed(event, 1, wall_time());
  put_varint(event, 2 << 3);
  put_varint(event, static_cast<uint64_t>(step));
  put_text(event, 5, summary);
  state_->pending += record(event);
  if (state_->pending.size() > 1 << 16) flush();
}

void TensorBoard::flush() {
  append_file(state_->path, state_->pending);
  state_->pending.clear();
}

}  // namespace rung
