// rung doctor: what this machine is and how fast it multiplies.
#include <ATen/Context.h>
#include <torch/version.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "cli/cache.h"
#include "cli/verb.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/table.h"
#include "study/ceiling.h"

namespace rung {
namespace {

// Free bytes of the disk that holds the folder or its nearest parent that exists; negative when
// unknown.
double free_bytes(fs::path folder) {
  std::error_code error;
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, error);
  return error ? -1.0 : static_cast<double>(space.available);
}

int run_doctor(const Arguments& arguments) {
  const bool cuda = at::hasCUDA();
  const std::string device = cuda && arguments.device != "cpu" ? "cuda" : "cpu";
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  const double fp32 = matmul_ceiling(device, "fp32", arguments.threads);
  const double free = free_bytes(fs::current_path()), cached = free_bytes(data_cache_folder());
  const unsigned cores = std::thread::hardware_concurrency();
#ifdef RUNG_CUDA
  const bool cuda_build = true;
#else
  const bool cuda_build = false;
#endif
  std::vector<TableRow> rows = {
      {"LibTorch", TORCH_VERSION},
      {"cores", fmt::format("{}, using {}", cores, arguments.threads)},
      {"memory", short_amount(memory, "B")},
      {"CUDA", cuda         ? "present"
               : cuda_build ? "built in, no device"
                            : "not in this build"},
      {"fp32 matrix products", fmt::format("{} on {}", short_amount(fp32, "FLOP/s"), device)},
      {"free disk here", short_amount(free, "B")},
      {"data cache", fmt::format("{} ({} free)", data_cache_folder(), short_amount(cached, "B"))}};
  Json json = {{"torch", TORCH_VERSION},
               {"cores", cores},
               {"threads", arguments.threads},
               {"memory_bytes", memory},
               {"cuda", cuda},
               {"cuda_build", cuda_build},
               {"device", device},
               {"matmul_flops", fp32},
               {"disk_free_bytes", free},
               {"data_cache", data_cache_folder()}};
  if (device == "cuda") {
    const double bf16 = matmul_ceiling(device, "bf16", arguments.threads);
    rows.push_back({"bf16 matrix products", short_amount(bf16, "FLOP/s")});
    json["matmul_flops_bf16"] = bf16;
  }
  arguments.out->result(json, text_table({"what", "found"}, rows));
  return 0;
}

}  // namespace

extern const Verb doctor_verb;
const Verb doctor_verb{.name = "doctor",
                       .group = "tools",
                       .summary = "versions, cores, memory, disk and the speed of matrix products",
                       .example = "rung doctor",
                       .run = run_doctor};

}  // namespace rung
