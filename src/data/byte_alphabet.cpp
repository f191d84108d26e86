#include "data/byte_alphabet.h"

#include <array>
#include <unordered_map>

namespace rung {
namespace {

// The character of each byte.
std::array<uint32_t, 256> byte_characters() {
  std::array<uint32_t, 256> characters{};
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

std::unordered_map<uint32_t, char> byte_alphabet() {
  std::unordered_map<uint32_t, char> alphabet;
  const std::array<uint32_t, 256> characters = byte_characters();
  for (size_t byte = 0; byte < 256; ++byte) alphabet[characters[byte]] = static_cast<char>(byte);
  return alphabet;
}

}  // namespace

std::string spelt_bytes(std::string_view entry) {
  static const std::unordered_map<uint32_t, char> alphabet = byte_alphabet();
  std::string bytes;
  for (size_t i = 0; i < entry.size();) {
    const auto first = static_cast<uint8_t>(entry[i]);
    const size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : 3;
    if (length > 2 || i + length > entry.size()) return {};
    const uint32_t point =
        length == 1 ? first : (first & 0x1fu) << 6 | (static_cast<uint8_t>(entry[i + 1]) & 0x3fu);
    const auto found = alphabet.find(point);
    if (found == alphabet.end()) return {};
    bytes += found->second;
    i += length;
  }
  return bytes;
}

std::string byte_entry(uint8_t byte) {
  static const std::array<uint32_t, 256> characters = byte_characters();
  const uint32_t point = characters[byte];
  if (point < 0x80) return {static_cast<char>(point)};
  return {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
}

}  // namespace rung
