// The commands of a climb's page, as people can paste them.
#pragma once
#include <string>

#include "report/climb_files.h"

namespace rung {

// The same climb in another folder: the command that began it, with the FLOPs that its plan was
// made of in place of its budget, so that the speed of a machine has no say, and for an alternative
// of a comparison with its settings. Not its config.toml, in which the target that the climb chose
// would count as given. Empty where the log does not say.
std::string again_command(const ClimbFiles& files);

// All of them, as a block of code.
std::string climb_commands(const ClimbFiles& files);

}  // namespace rung
