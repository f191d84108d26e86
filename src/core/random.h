// Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): a value is a pure function of
// (seed, stream, counter), so that slot, rank, thread and order of use never change it.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace rung {

// A 64-bit FNV-1a hash: names of streams and tensors become keys.
constexpr uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return hash;
}

// A bijective mix of 64 bits (splitmix64's finaliser).
constexpr uint64_t mix_bits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// One Philox4x32-10 block of four 32-bit words.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

// A sequence of random numbers from one (seed, stream) key, readable from any position.
class Random {
 public:
  Random(uint64_t seed, std::string_view purpose, uint64_t index = 0)
      : key_(mix_bits(seed + 0x9e3779b97f4a7c15ull)),
        stream_(mix_bits(hash_name(purpose) + index)) {}
  uint32_t bits();
  uint64_t bits64() {
    const uint64_t high =
        bits();  // named: the order of two calls in one expression is the compiler's
    return (high << 32) | bits();
  }
  double uniform();                // in [0, 1)
  double normal();                 // mean 0, deviation 1 (Box-Muller)
  uint64_t below(uint64_t bound);  // in [0, bound), unbiased
  // Continues at the block-th group of four words. Two normal numbers take one block, so number 2 k
  // of a fresh sequence of them is the first after seek(k).
  void seek(uint64_t block);

 private:
  uint64_t key_, stream_, counter_ = 0;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

// A keyed permutation of [0, size): position -> element, computed for one element alone
// (a Feistel network over the next power of four, walked until the value falls inside).
class Permutation {
 public:
  Permutation(uint64_t size, uint64_t key);
  uint64_t operator()(uint64_t position) const;
  uint64_t size() const { return size_; }

 private:
  uint64_t size_, key_;
  int half_bits_;
};

}  // namespace rung
