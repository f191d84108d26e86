// rung: all verbs, over LibTorch.
#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/version.h>

#include "cli/torch/verbs_torch.h"
#include "cli/verb.h"

namespace rung {
namespace {

// Tensors above 32 MiB would be mapped and faulted in anew at every allocation, which halves the
// speed of large matrix products; these settings keep the memory in the heap.
void keep_large_buffers() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2'147'483'647);
  mallopt(M_TOP_PAD, 256 << 20);
}

std::vector<const Verb*> all_verbs() {
  std::vector<const Verb*> verbs;
  for (const Verb* verb : torch_verbs()) verbs.push_back(verb);
  for (const Verb* verb : law_verbs()) verbs.push_back(verb);
  return verbs;
}

}  // namespace
}  // namespace rung

int main(int argc, char** argv) {
  rung::keep_large_buffers();
  const std::vector<const rung::Verb*> verbs = rung::all_verbs();
  return rung::run_program(
      argc, argv, "rung", verbs,
      [](const rung::Arguments& arguments) { at::set_num_threads(arguments.threads); },
      {{"LibTorch", TORCH_VERSION}});
}
