#include "core/random.h"

#include <cmath>
#include <numbers>

#include "core/error.h"

namespace rung {

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  std::array<uint32_t, 4> c{
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

uint32_t Random::bits() {
  if (used_ == 4) {
    block_ = philox(key_, counter_++, stream_);
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

void Random::seek(uint64_t block) {
  counter_ = block;
  used_ = 4;
  has_spare_ = false;
}

double Random::uniform() {
  return static_cast<double>(bits64() >> 11) * 0x1.0p-53;
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

uint64_t Random::below(uint64_t bound) {
  const uint64_t limit = bound * (UINT64_MAX / bound);
  for (;;) {
    const uint64_t value = bits64();
    if (value < limit) return value % bound;
  }
}

Permutation::Permutation(uint64_t size, uint64_t key)
    : size_(size), key_(mix_bits(key)), half_bits_(1) {
  if (size == 0) fail("[permutation] Size must be positive. Received 0.");
  while ((uint64_t{1} << (2 * half_bits_)) < size && half_bits_ < 31) ++half_bits_;
}

uint64_t Permutation::operator()(uint64_t position) const {
  if (position >= size_) fail("[permutation] Position {} is not below {}.", position, size_);
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t value = position;
  do {
    uint64_t left = value >> half_bits_, right = value & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      const uint64_t next = left ^ (philox(key_, right, round)[0] & mask);
      left = right;
      right = next;
    }
    value = (left << half_bits_) | right;
  } while (value >= size_);
  return value;
}

}  // namespace rung
