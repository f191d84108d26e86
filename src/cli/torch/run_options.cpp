#include "cli/torch/run_options.h"

#include "cli/cache.h"

namespace rung {

std::vector<Option> with_run_options(std::vector<Option> own) {
  std::vector<Option> options = {
      {.name = "RUN", .help = "folder of a trained run", .required = true},
      {.name = "--member",
       .help = "member of a population; absent: the first, and the best is named",
       .default_text = "0"}};
  options.insert(options.end(), own.begin(), own.end());
  return options;
}

namespace {

// Of a population the first member is taken, which need not be the one that is wanted.
void note_member(const Arguments& arguments, const std::filesystem::path& folder) {
  const MemberList members = list_members(folder);
  if (members.count < 2) return;
  arguments.out->note(
      fmt::format("member 0 of {}{}", members.count,
                  members.best > 0 ? fmt::format("; the least loss has --member {}", members.best)
                  : members.best == 0 ? ", which has the least loss"
                                      : "; others by --member"));
}

}  // namespace

OpenRun open_named_run(const Arguments& arguments, OpenRequest request) {
  request.folder = arguments.text("RUN");
  request.member = arguments.integer("--member");
  request.device = arguments.device;
  request.threads = arguments.threads;
  request.cache = data_cache_folder();
  OpenRun run = open_run(request);
  if (!arguments.has("--member")) note_member(arguments, request.folder);
  return run;
}

}  // namespace rung
