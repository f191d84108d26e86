#include "cli/torch/profile.h"

#include <kineto/ActivityType.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <unordered_map>

#include "core/clock.h"
#include "core/error.h"
#include "ops/span.h"

namespace rung {
namespace {

namespace kineto = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using Events = std::vector<kineto::KinetoEvent>;

constexpr const char* prefix = "rung::";
constexpr const char* timed = "rung::timed steps";

// Of each event on the host the innermost span around it, and the time that lies in no event within
// it.
struct HostEvent {
  std::string span;
  uint64_t own = 0;  // ns
};

std::vector<HostEvent> host_events(const Events& events) {
  std::vector<HostEvent> found(events.size());
  std::map<uint64_t, std::vector<size_t>> threads;
  for (size_t i = 0; i < events.size(); ++i)
    if (events[i].deviceType() == c10::DeviceType::CPU && !events[i].isAsync())
      threads[events[i].startThreadId()].push_back(i);
  for (auto& [thread, order] : threads) {
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      if (events[a].startNs() != events[b].startNs())
        return events[a].startNs() < events[b].startNs();
      return events[a].endNs() > events[b].endNs();
    });
    std::vector<size_t> open;  // the events that the present one lies in
    for (const size_t i : order) {
      while (!open.empty() && events[open.back()].endNs() <= events[i].startNs()) open.pop_back();
      const std::string name = events[i].name();
      found[i].own = events[i].durationNs();
      if (name.starts_with(prefix) && name != timed)
        found[i].span = name;
      else if (!open.empty())
        found[i].span = found[open.back()].span;
      if (!open.empty()) {
        uint64_t& around = found[open.back()].own;
        around -= std::min(around, found[i].own);
      }
      open.push_back(i);
    }
  }
  return found;
}

// What launched most of the time of kernels with a name.
std::map<std::string, std::string> launchers(const Events& events,
                                             const std::vector<HostEvent>& host) {
  std::unordered_map<uint64_t, size_t> by_correlation;
  // Calls of the driver are numbered too, apart from ops: a number of one may be that of the other.
  constexpr auto op = static_cast<uint8_t>(libkineto::ActivityType::CPU_OP);
  for (size_t i = 0; i < events.size(); ++i)
    if (events[i].activityType() == op && !host[i].span.empty())
      by_correlation.emplace(events[i].correlationId(), i);
  std::map<std::string, std::map<std::string, uint64_t>> times;
  for (const kineto::KinetoEvent& event : events) {
    if (event.deviceType() != c10::DeviceType::CUDA) continue;
    const auto launcher = by_correlation.find(event.linkedCorrelationId());
    if (launcher != by_correlation.end())
      times[event.name()][host[launcher->second].span] += event.durationNs();
  }
  std::map<std::string, std::string> most;
  for (const auto& [kernel, spans] : times)
    most[kernel] = std::max_element(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
                     return a.second < b.second;
                   })->first;
  return most;
}

std::vector<ProfiledClass> classes_of(const Events& events, int64_t steps, bool on_gpu) {
  const std::vector<HostEvent> host = host_events(events);
  const auto launched = launchers(events, host);
  const auto start = std::find_if(events.begin(), events.end(),
                                  [](const auto& event) { return event.name() == timed; });
  std::map<std::string, ProfiledClass> classes;
  for (size_t i = 0; i < events.size(); ++i) {
    const kineto::KinetoEvent& event = events[i];
    if ((event.deviceType() == c10::DeviceType::CUDA) != on_gpu || event.isAsync()) continue;
    if (start == events.end() || event.startNs() < start->startNs()) continue;
    std::string span = host[i].span;
    if (const auto found = launched.find(event.name()); on_gpu && found != launched.end())
      span = found->second;
    if (!on_gpu && span.empty()) continue;  // the driver, waiting for its workers
    const std::string name = span.empty() ? "other" : span.substr(std::string(prefix).size());
    ProfiledClass& all = classes[name];
    all.name = name;
    all.seconds += 1e-9 * static_cast<double>(on_gpu ? event.durationNs() : host[i].own) /
                   static_cast<double>(steps);
    ++all.count;
  }
  double sum = 0.0;
  for (const auto& [name, c] : classes) sum += c.seconds;
  std::vector<ProfiledClass> sorted;
  for (auto& [name, c] : classes) {
    c.share = c.seconds / sum;
    c.count = (c.count + steps / 2) / steps;
    sorted.push_back(c);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return sorted;
}

}  // namespace

StepProfile profile_steps(const std::function<std::unique_ptr<Population>()>& make, int64_t steps,
                          const std::string& trace) {
  StepProfile profile{.trace = trace};
  setenv("KINETO_LOG_LEVEL", "99", 0);  // of a host without a GPU it would complain
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  std::unique_ptr<Population> population = make();
  const bool on_gpu = population->weights.is_cuda();
  std::set<ActivityType> activities{ActivityType::CPU};
  if (on_gpu) activities.insert(ActivityType::CUDA);
  kineto::prepareProfiler(config, activities);
  kineto::enableProfiler(config, activities);
  population->advance();
  population->sync();
  const auto start = Clock::now();
  {
    const Span span(timed);
    for (int64_t i = 0; i < steps; ++i) population->advance();
    population->sync();
  }
  profile.step_seconds = seconds_since(start) / static_cast<double>(steps);
  const auto result = kineto::disableProfiler();
  result->save(trace);
  profile.classes = classes_of(result->events(), steps, on_gpu);
  if (profile.classes.empty()) fail("[bench] The profiler saw nothing of {} steps.", steps);
  return profile;
}

Json profile_json(const StepProfile& profile) {
  Json classes = Json::array();
  for (const ProfiledClass& c : profile.classes)
    classes.push_back(
        {{"class", c.name}, {"seconds", c.seconds}, {"share", c.share}, {"count", c.count}});
  return {{"trace", profile.trace}, {"step_seconds", profile.step_seconds}, {"classes", classes}};
}

std::string profile_text(const std::string& title, const StepProfile& profile) {
  std::vector<TableRow> rows;
  for (const ProfiledClass& c : profile.classes)
    rows.push_back({c.name, fmt::format("{:.3f} ms", 1e3 * c.seconds),
                    fmt::format("{:.1f} %", 100.0 * c.share), std::to_string(c.count)});
  return fmt::format("{}, a step of {:.3f} ms under the profiler; trace: {}\n{}", title,
                     1e3 * profile.step_seconds, profile.trace,
                     text_table({"class", "time", "share", "count"}, rows));
}

}  // namespace rung
