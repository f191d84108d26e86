// Throughput of the captured training step in member-tokens per second: `gpu_step [CASE] [STEPS]
// [cudnn|flash]` runs the cases whose names contain CASE.
#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "core/random.h"
#include "train/population.h"

using namespace rung;

namespace {

// Random windows with Zipf's frequencies: token k about 1 / (k + 2).
class ZipfSource : public TokenSource {
 public:
  explicit ZipfSource(int64_t vocabulary) : vocabulary_(vocabulary), table_(1 << 16) {
    const double top = std::log(static_cast<double>(vocabulary + 1) / 2.0);
    for (size_t i = 0; i < table_.size(); ++i) {
      const double u = (static_cast<double>(i) + 0.5) / static_cast<double>(table_.size());
      table_[i] = std::min(static_cast<int32_t>(2.0 * std::exp(u * top) - 1.0),
                           static_cast<int32_t>(vocabulary - 1));
    }
  }
  int64_t vocabulary() const override { return vocabulary_; }
  int64_t sequences(int64_t) const override { return int64_t{1} << 40; }
  void read(int64_t index, std::span<int32_t> out) const override {
    uint64_t state = mix_bits(static_cast<uint64_t>(index) + 77);
    for (int32_t& value : out) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      value = table_[state >> 48];
    }
  }
  HeldOut held_out(int64_t, int64_t) const override { return {}; }
  std::vector<int32_t> encode(const std::string&) const override { return {}; }
  std::string decode(std::span<const int32_t>) const override { return {}; }
  double entropy(int64_t) const override { return 0.0; }
  Json describe() const override { return {}; }

 private:
  int64_t vocabulary_;
  std::vector<int32_t> table_;
};

struct Case {
  const char* name;
  int64_t vocabulary, depth, width, head_dim, time, batch, members;
  int steps;
  double needed;  // member-tokens per second
};

constexpr Case cases[] = {
    {"w64-p1", 4096, 4, 64, 16, 256, 16, 1, 400, 0.0},
    {"w64-p32", 4096, 4, 64, 16, 256, 16, 32, 100, 9.7e6},
    {"w64-p256", 4096, 4, 64, 16, 256, 16, 256, 12, 0.0},
    {"w128-p1", 4096, 4, 128, 32, 256, 16, 1, 400, 0.0},
    {"w128-p32", 4096, 4, 128, 32, 256, 16, 32, 60, 5.9e6},
    {"w256-p1", 8192, 4, 256, 64, 256, 64, 1, 100, 0.0},
    {"w256-p32", 8192, 4, 256, 64, 256, 64, 32, 6, 0.0},
    {"124M-p1", 50304, 12, 768, 64, 1024, 32, 1, 20, 0.8 * 405e3},
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void run(const Case& c, int steps, const Machine& machine) {
  RunConfig config;
  config.parametrisation = "standard";
  config.device = "cuda";
  config.precision = "bf16";
  config.model.width = c.width;
  config.model.depth = c.depth;
  config.model.head_dim = c.head_dim;
  config.model.context = c.time;
  config.train.batch_tokens = c.batch * c.time;
  config.train.tokens = 1'000'000 * config.train.batch_tokens;
  config.train.lr = 1e-3;
  config.train.clip = 1.0;
  std::vector<RunConfig> configs(static_cast<size_t>(c.members), config);
  for (size_t m = 0; m < configs.size(); ++m) configs[m].seed = m + 1;
  const auto start = Clock::now();
  Population p(configs, std::make_shared<ZipfSource>(c.vocabulary), machine);
  const double built = seconds_since(start);
  c10::cuda::CUDACachingAllocator::resetPeakStats(0);
  const auto first = Clock::now();
  p.advance();
  p.sync();
  const double capture = seconds_since(first), loss = p.states[0].loss;
  for (int i = 0; i < std::min(10, steps); ++i) p.advance();
  p.sync();
  if (steps == 0) return;
  std::vector<double> rates;
  const double tokens = static_cast<double>(c.members * c.batch * c.time * steps);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto begin = Clock::now();
    for (int i = 0; i < steps; ++i) p.advance();
    p.sync();
    rates.push_back(tokens / seconds_since(begin));
  }
  std::sort(rates.begin(), rates.end());
  size_t available = 0, total = 0;
  cudaMemGetInfo(&available, &total);
  std::printf(
      "%-9s %8.3fM member-tok/s (%.3f-%.3f)  step %.3f ms  build %.2f s  capture %.2f s  memory "
      "%.1f GiB  loss %.3f -> %.3f%s\n",
      c.name, rates[1] / 1e6, rates[0] / 1e6, rates[2] / 1e6,
      static_cast<double>(c.members * c.batch * c.time) / rates[1] * 1e3, built, capture,
      static_cast<double>(total - available) / 1073741824.0, loss, p.states[0].loss,
      rates[1] >= c.needed ? "" : "  BELOW NEED");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  const int steps = argc > 2 ? std::atoi(argv[2]) : -1;
  if (argc > 3) at::globalContext().setSDPUseCuDNN(std::strcmp(argv[3], "cudnn") == 0);
  try {
    const Machine machine = make_machine("cuda", 14);
    for (const Case& c : cases)
      if (std::strstr(c.name, filter)) {
        run(c, steps < 0 ? c.steps : steps, machine);
        c10::cuda::CUDACachingAllocator::emptyCache();
      }
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
