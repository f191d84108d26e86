// The printable characters that byte-level vocabularies spell bytes with (GPT-2): a byte that is
// printable in Latin-1 is itself, the others are U+0100, U+0101, ... in order.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rung {

// The bytes that a vocabulary's entry spells; empty where it holds a character of no byte.
std::string spelt_bytes(std::string_view entry);

// The vocabulary's entry of one byte, in UTF-8.
std::string byte_entry(uint8_t byte);

}  // namespace rung
