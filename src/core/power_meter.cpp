#include "core/power_meter.h"

#include <dlfcn.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/clock.h"

namespace rung {
namespace {

// The part of nvml.h that is used, so that nothing of it is needed to build: names, numbers and
// layouts are fixed by NVML's version 2 of these calls.
using Device = void*;
struct FieldValue {
  unsigned field = 0, scope = 0;
  long long timestamp = 0, latency = 0;
  int type = 0, status = 0;
  union {
    unsigned number;
    unsigned long long wide;
  } value = {};
};
constexpr unsigned field_power_instant = 186;  // mW
constexpr int clock_sm = 1;
constexpr unsigned long long reason_power_cap = 0x4;

struct Library {
  void* handle = nullptr;
  int (*init)() = nullptr;
  int (*device)(const char*, Device*) = nullptr;
  int (*fields)(Device, int, FieldValue*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;  // a mean over a second
  int (*limit)(Device, unsigned*) = nullptr;
  int (*clock)(Device, int, unsigned*) = nullptr;
  int (*top_clock)(Device, int, unsigned*) = nullptr;
  int (*reasons)(Device, unsigned long long*) = nullptr;

  template <class F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(::dlsym(handle, name));
  }
  bool complete() const {
    return init && device && fields && power && limit && clock && top_clock && reasons;
  }
};

const Library& library() {
  static const Library all = [] {
    Library l;
    l.handle = ::dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!l.handle) return l;
    l.find(l.init, "nvmlInit_v2");
    l.find(l.device, "nvmlDeviceGetHandleByPciBusId_v2");
    l.find(l.fields, "nvmlDeviceGetFieldValues");
    l.find(l.power, "nvmlDeviceGetPowerUsage");
    l.find(l.limit, "nvmlDeviceGetEnforcedPowerLimit");
    l.find(l.clock, "nvmlDeviceGetClockInfo");
    l.find(l.top_clock, "nvmlDeviceGetMaxClockInfo");
    l.find(l.reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
    return l;
  }();
  return all;
}

}  // namespace

struct PowerMeter::State {
  struct Sample {
    double seconds, watts, clock;
    bool limited;
  };
  Device device = nullptr;
  double limit = 0.0, top_clock = 0.0;
  std::thread sampler;
  std::mutex mutex;
  std::condition_variable ended;
  bool running = false;
  std::vector<Sample> samples;

  // Nothing where the GPU does not say it, as part of one does not.
  std::optional<double> watts() const {
    FieldValue value;
    value.field = field_power_instant;
    unsigned mean = 0;
    if (library().fields(device, 1, &value) == 0 && value.status == 0)
      return value.value.number / 1e3;
    return library().power(device, &mean) == 0 ? std::optional(mean / 1e3) : std::nullopt;
  }
  void sample(double seconds) {
    const std::optional<double> drawn = watts();
    if (!drawn) return;
    unsigned clock = 0;
    unsigned long long reasons = 0;
    library().clock(device, clock_sm, &clock);
    library().reasons(device, &reasons);
    samples.push_back({seconds, *drawn, 1e6 * clock, (reasons & reason_power_cap) != 0});
  }
  void run() {
    const auto start = Clock::now();
    std::unique_lock lock(mutex);
    while (running) {
      sample(seconds_since(start));
      ended.wait_for(lock, std::chrono::milliseconds(20), [&] { return !running; });
    }
  }
};

PowerMeter::PowerMeter(const std::string& pci_address) : state_(std::make_unique<State>()) {
  const Library& l = library();
  if (!l.complete() || l.init() != 0 || l.device(pci_address.c_str(), &state_->device) != 0) {
    state_->device = nullptr;
    return;
  }
  unsigned limit = 0, clock = 0;
  l.limit(state_->device, &limit);
  l.top_clock(state_->device, clock_sm, &clock);
  state_->limit = limit / 1e3, state_->top_clock = 1e6 * clock;
}

PowerMeter::~PowerMeter() {
  end();
}

void PowerMeter::begin() {
  end();
  if (!state_->device) return;
  state_->samples.clear();
  state_->running = true;
  state_->sampler = std::thread([this] { state_->run(); });
}

PowerUse PowerMeter::end(double skip) {
  PowerUse use;
  if (!state_->sampler.joinable()) return use;
  {
    const std::lock_guard lock(state_->mutex);
    state_->running = false;
  }
  state_->ended.notify_all();
  state_->sampler.join();
  use.limit_watts = state_->limit, use.top_clock = state_->top_clock;
  for (const State::Sample& s : state_->samples) {
    if (s.seconds < skip) continue;
    ++use.samples;
    use.watts += s.watts, use.clock += s.clock, use.limited += s.limited ? 1.0 : 0.0;
  }
  if (use.samples == 0) return use;
  const auto count = static_cast<double>(use.samples);
  use.watts /= count, use.clock /= count, use.limited /= count;
  return use;
}

}  // namespace rung
