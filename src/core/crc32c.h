// CRC-32C (Castagnoli) as TFRecord files use it.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace rung {

constexpr uint32_t crc32c(std::string_view bytes) {
  constexpr auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0u);
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = ~0u;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(byte)) & 0xffu];
  return ~crc;
}

// TFRecord's mask, which keeps the CRC of data that hold CRCs useful.
constexpr uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

}  // namespace rung
