// The fastest matrix product of this machine: what `mfu` divides by.
#pragma once
#include <string>

namespace rung {

// FLOP/s of square products (multiply-add = 2) in fp32, or bf16 and fp64 where `precision` says so;
// the best of a few tries, about 0.2 s in all. On the CPU by so many threads: the calling thread's
// own number is not what a run has, as LibTorch hands the one that workers set for themselves
// (make_machine) to every thread that has not asked for its own yet.
double matmul_ceiling(const std::string& device, const std::string& precision, int threads);

// Bytes/s of copying a large buffer on the device, read and written bytes both counted.
double copy_ceiling(const std::string& device);

// The same on the present GPU in bf16, kept up for about so many seconds after a fifth of that
// unmeasured: FLOP/s of products of normally distributed numbers, as models have them, and bytes/s.
// A card at its power limit is slower then than at its best.
double kept_matmul(double seconds);
double kept_copy(double seconds);

}  // namespace rung
