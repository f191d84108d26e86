// Populations that train side by side on one GPU, each a captured step on a stream of its own:
// `side_by_side STEPS CASE[:MEMBERS[:PARTS[:PRIORITY]]]...` trains the named cases of `rung bench`
// one after the other and all at once, in turns, and prints the seconds of both and their ratio.
// MEMBERS instead of the case's own, cut into PARTS populations of equal size; PRIORITY as
// Machine::priority.
#include <ATen/Context.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/torch/gpu_cases.h"
#include "core/error.h"
#include "train/device.h"
#include "train/population.h"

using namespace rung;

namespace {

using Clock = std::chrono::steady_clock;
using Populations = std::vector<std::unique_ptr<Population>>;

struct Group {
  std::string name;
  double tokens = 0.0;  // of a step of all parts
  Populations parts;
  double alone = 0.0;  // seconds, the fastest turn
};

Group make_group(const std::string& text) {
  std::istringstream fields(text);
  std::string name, field;
  std::getline(fields, name, ':');
  int64_t numbers[] = {0, 1, -1};  // members, parts, priority
  for (int64_t& number : numbers)
    if (std::getline(fields, field, ':')) number = std::atoll(field.c_str());
  const auto found = std::find_if(gpu_cases.begin(), gpu_cases.end(),
                                  [&](const GpuCase& c) { return c.name == name; });
  if (found == gpu_cases.end()) fail_usage("[bench] There is no case '{}'.", name);
  GpuCase c = *found;
  if (numbers[0] > 0) c.members = numbers[0];
  const int64_t parts = std::max<int64_t>(1, numbers[1]);
  std::vector<RunConfig> members = gpu_members(c);
  for (RunConfig& member : members) member.train.deterministic = false;
  Machine machine = make_machine("cuda", 8);
  machine.priority = static_cast<int>(numbers[2]);
  Group group{text, static_cast<double>(c.members * c.batch * c.context), {}, 1e30};
  const auto source = zipf_tokens(c.vocabulary);
  for (int64_t i = 0; i < parts; ++i)
    group.parts.push_back(
        std::make_unique<Population>(std::vector(members.begin() + c.members * i / parts,
                                                 members.begin() + c.members * (i + 1) / parts),
                                     source, machine));
  return group;
}

// Seconds of so many steps of every given group, all side by side.
double train(const std::vector<Group*>& groups, int64_t steps) {
  const auto start = Clock::now();
  for (int64_t i = 0; i < steps; ++i)
    for (Group* group : groups)
      for (const auto& part : group->parts) part->advance();
  for (Group* group : groups)
    for (const auto& part : group->parts) part->sync();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    at::globalContext().lazyInitDevice(at::kCUDA);
    const int64_t steps = argc > 1 ? std::max(1, std::atoi(argv[1])) : 100;
    std::vector<Group> groups;
    for (int i = 2; i < argc; ++i) groups.push_back(make_group(argv[i]));
    std::vector<Group*> all;
    for (Group& group : groups) all.push_back(&group);
    train(all, 5);
    double together = 1e30;
    for (int turn = 0; turn < 4; ++turn) {
      for (Group* group : all) group->alone = std::min(group->alone, train({group}, steps));
      together = std::min(together, train(all, steps));
    }
    double apart = 0.0;
    for (const Group* group : all) {
      apart += group->alone;
      std::printf("%-24s %8.3fM member-tok/s, %.3f ms a step\n", group->name.c_str(),
                  group->tokens * static_cast<double>(steps) / group->alone / 1e6,
                  1e3 * group->alone / static_cast<double>(steps));
    }
    std::printf("one after the other %.3f s, side by side %.3f s: %.3f times, %.2f GiB\n", apart,
                together, apart / together, static_cast<double>(peak_gpu_memory()) / 1073741824.0);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
