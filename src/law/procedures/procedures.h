// The procedures by name, one file each beside this one; procedure.cpp lists them.
#pragma once
#include "law/procedure.h"

namespace rung {

extern const Procedure envelope_procedure;
extern const Procedure isoflop_procedure;
extern const Procedure isoflop_interpolated_procedure;
extern const Procedure critical_batch_procedure;
extern const Procedure noise_scale_procedure;
extern const Procedure step_law_procedure;
extern const Procedure step_law_bowl_procedure;
extern const Procedure lr_horizon_procedure;
extern const Procedure vocabulary_1_procedure;
extern const Procedure vocabulary_2_procedure;
extern const Procedure vocabulary_3_procedure;
extern const Procedure downstream_procedure;
extern const Procedure observational_procedure;
extern const Procedure skills_procedure;

}  // namespace rung
