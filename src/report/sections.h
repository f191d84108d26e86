// The parts of a climb's page as HTML; each is empty where its files are absent.
#pragma once
#include <string>

#include "report/climb_files.h"

namespace rung {

std::string headline_section(const ClimbFiles& files);  // predicted, measured, how far apart
std::string law_section(const ClimbFiles& files);  // form, coefficients, and how the fit was made
std::string checks_section(const ClimbFiles& files);  // diagnostics and the (Mis)Fitting checklist
std::string runs_section(const ClimbFiles& files);    // runs.csv without its rarer columns
std::string audit_section(const ClimbFiles& files);   // the target's tensors and multipliers
std::string reproduce_section(const ClimbFiles& files);  // commands, configuration, hashes

// Captions that state what the plots show.
std::string ladder_caption(const ClimbFiles& files);
std::string bowl_caption(const ClimbFiles& files);

}  // namespace rung
