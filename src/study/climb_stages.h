// The stages of a climb, in the order in which they run. Each leaves its files in the climb's
// folder and reads back what an interrupted climb left there.
#pragma once
#include <vector>

#include "study/climb_state.h"

namespace rung {

// Locks the folder. Fails on a climb that is there already, unless it is resumed.
void open_folder(Climb& c);

// Removes a folder that this climb made and has no plan for, as where its budget was too small.
void leave_no_folder(Climb& c);

// The token source and the held-out set.
void open_data(Climb& c);

// c.plan: made once and recorded; a resumed climb reads its FLOP budget back and so repeats it
// exactly. Fails where the folder holds a climb of other settings.
void make_plan(Climb& c);

// Opens log.jsonl, once the folder is known to be this climb's: the command, the data by their
// hashes, and the plan's stage, which began `seconds` after the start.
void open_log(Climb& c, double seconds);

// Learning rate and batch, from this data.
LrRule sweep_stage(Climb& c);

// Trains the rungs, a population of seeds each; one record a member.
std::vector<RunRecord> ladder_stage(Climb& c, const LrRule& rule);

// Writes fit.json and prediction.json, and the prediction's hash into the log, before the target's
// first step. Returns the recorded prediction.
Json predict_stage(Climb& c, const std::vector<RunRecord>& ladder, const LrRule& rule);

// Trains the target, after the prediction.
RunRecord target_stage(Climb& c, const LrRule& rule);

}  // namespace rung
