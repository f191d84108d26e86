#include "cli/torch/run_options.h"

#include "cli/cache.h"

namespace rung {

std::vector<Option> with_run_options(std::vector<Option> own) {
  std::vector<Option> options = {
      {.name = "RUN", .help = "folder of a trained run", .required = true},
      {.name = "--member", .help = "member of a population", .default_text = "0"}};
  options.insert(options.end(), own.begin(), own.end());
  return options;
}

OpenRun open_named_run(const Arguments& arguments, OpenRequest request) {
  request.folder = arguments.text("RUN");
  request.member = arguments.integer("--member");
  request.device = arguments.device;
  request.threads = arguments.threads;
  request.cache = data_cache_folder();
  return open_run(request);
}

}  // namespace rung
