// A function's loops as wide as the vectors of the processor that runs: one clone a width, chosen
// when the program is loaded. Sanitizers meet the clones' resolvers before they are ready.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define WIDEST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDEST
#endif
