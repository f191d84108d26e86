#include "study/together.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "core/files.h"
#include "core/first_line.h"
#include "core/progress.h"

namespace rung {
namespace {

// What the threads share.
struct Company {
  const std::vector<NamedClimb>& climbs;
  const ClimbHooks& hooks;
  const std::function<void(size_t)>& finished;
  std::mutex mutex{};
  std::vector<bool> ended;
  std::vector<std::exception_ptr> errors;
  bool interrupted = false;

  size_t first_unfinished() const {
    return static_cast<size_t>(std::find(ended.begin(), ended.end(), false) - ended.begin());
  }
};

ClimbHooks hooks_of(Company& company, size_t index, size_t name_width) {
  const std::string& name = company.climbs[index].name;
  ClimbHooks hooks{.interrupted = company.hooks.interrupted, .progress = nullptr, .say = nullptr};
  if (company.hooks.progress)
    hooks.progress = [&company, index, name](Progress progress) {
      const std::lock_guard lock(company.mutex);
      if (index != company.first_unfinished()) return;
      progress.label = name + "/" + progress.label;
      company.hooks.progress(progress);
    };
  if (company.hooks.say)
    hooks.say = [&company, name, name_width](const std::string& line) {
      const std::lock_guard lock(company.mutex);
      company.hooks.say(fmt::format("{:<{}}  {}", name, name_width, line));
    };
  return hooks;
}

void climb_one(Company& company, size_t index, size_t name_width) {
  std::exception_ptr error;
  std::string why;
  bool interrupted = false;
  try {
    interrupted =
        run_climb(company.climbs[index].request, hooks_of(company, index, name_width)).interrupted;
  } catch (const std::exception& e) {
    error = std::current_exception();
    why = first_line(e.what());
  }
  const std::lock_guard lock(company.mutex);
  if (error && company.hooks.say)
    company.hooks.say(fmt::format("{:<{}}  failed, the others go on: {}",
                                  company.climbs[index].name, name_width, why));
  company.ended[index] = true;
  company.interrupted = company.interrupted || interrupted;
  try {
    if (!error && !interrupted) company.finished(index);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  company.errors[index] = error;
}

}  // namespace

std::vector<int> priorities_by_pace(const std::vector<double>& seconds_per_flop) {
  constexpr size_t levels = 3;
  std::vector<int> priorities;
  for (const double pace : seconds_per_flop) {
    const auto faster =
        static_cast<size_t>(std::count_if(seconds_per_flop.begin(), seconds_per_flop.end(),
                                          [&](double other) { return other < pace; }));
    priorities.push_back(-1 - static_cast<int>(levels * faster / seconds_per_flop.size()));
  }
  return priorities;
}

std::vector<double> kept_paces(const fs::path& file, const std::vector<std::string>& names,
                               const std::function<double(size_t)>& measure) {
  Json kept = fs::exists(file) ? read_json(file) : Json::object();
  std::vector<double> paces;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!kept.contains(names[i])) {
      kept[names[i]] = measure(i);
      write_json(file, kept);
    }
    paces.push_back(kept.at(names[i]).get<double>());
  }
  return paces;
}

Error in_climb(const Error& error, const std::string& name, size_t alternatives) {
  return Error(fmt::format("{} (In the climb of {}, one of {} alternatives that share the budget.)",
                           error.what(), name, alternatives),
               error.kind);
}

bool climb_in_turn(const std::vector<NamedClimb>& climbs, const ClimbHooks& hooks,
                   const std::function<void(size_t)>& finished) {
  for (size_t i = 0; i < climbs.size(); ++i) {
    if (hooks.say) hooks.say(fmt::format("== {}", climbs[i].name));
    try {
      if (run_climb(climbs[i].request, hooks).interrupted) return false;
    } catch (const Error& error) {
      throw in_climb(error, climbs[i].name, climbs.size());
    }
    finished(i);
  }
  return true;
}

bool climb_together(const std::vector<NamedClimb>& climbs, const ClimbHooks& hooks,
                    const std::function<void(size_t)>& finished) {
  Company company{.climbs = climbs,
                  .hooks = hooks,
                  .finished = finished,
                  .ended = std::vector<bool>(climbs.size()),
                  .errors = std::vector<std::exception_ptr>(climbs.size())};
  size_t name_width = 0;
  for (const NamedClimb& climb : climbs) name_width = std::max(name_width, climb.name.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < climbs.size(); ++i)
    threads.emplace_back([&company, i, name_width] { climb_one(company, i, name_width); });
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : company.errors)
    if (error) std::rethrow_exception(error);
  return !company.interrupted;
}

}  // namespace rung
