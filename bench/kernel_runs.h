// Kernels launched alone, for sanitizers and their times: what the programs that do so share.
#pragma once
#include <cstdio>
#include <cstring>
#include <exception>
#include <initializer_list>

#include "kernel_clock.h"

namespace rung {

inline bool timed = false;         // whether `run` says times
inline double kept_seconds = 0.0;  // and for how long it then keeps a kernel up, to say its energy

// Runs it, and where asked for says its time, and the rate of its bytes if they are given.
template <class Launch>
void run(const char* what, double bytes, const Launch& launch) {
  launch();
  check_cuda(cudaDeviceSynchronize());
  if (!timed) return;
  const double least = least_microseconds(launch);
  std::printf("  %-32s %8.1f us", what, least);
  if (bytes > 0.0) std::printf(" %6.2f TB/s", 1e-6 * bytes / least);
  if (kept_seconds > 0.0) {
    const auto [each, use] = kept_up(kept_seconds, launch);
    std::printf("  kept up %8.1f us %6.1f W %5.2f GHz%s %8.2f mJ", each, use.watts, use.clock / 1e9,
                use.limited > 0.5 ? " (limit)" : "        ", 1e-3 * each * use.watts);
  }
  std::printf("\n");
  std::fflush(stdout);
}
template <class Launch>
void run(const char* what, const Launch& launch) {
  run(what, 0.0, launch);
}

struct KernelChoice {
  const char* name;
  void (*run)();
};

// main of a program that runs one of its choices, by its first argument; behind it `energy` keeps
// each of the kernels whose time is taken up for half a second. Returns the exit status.
inline int run_choice(int argc, char** argv, std::initializer_list<KernelChoice> choices) {
  const char* const what = argc > 1 ? argv[1] : "";
  if (argc > 2 && std::strcmp(argv[2], "energy") == 0) kept_seconds = 0.5;
  try {
    for (const KernelChoice& choice : choices)
      if (std::strcmp(what, choice.name) == 0) {
        choice.run();
        return 0;
      }
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  std::printf("%s", argv[0]);
  for (const KernelChoice& choice : choices)
    std::printf("%c%s", &choice == choices.begin() ? ' ' : '|', choice.name);
  std::printf("\n");
  return 2;
}

}  // namespace rung
