// Options of the verbs that open a run folder.
#pragma once
#include "cli/verb.h"
#include "study/open_run.h"

namespace rung {

// RUN and --member, then these.
std::vector<Option> with_run_options(std::vector<Option> own);
// Opens the run that the options name; data_path and held_out may be set in `request` before.
OpenRun open_named_run(const Arguments& arguments, OpenRequest request = {});

}  // namespace rung
