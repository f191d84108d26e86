// What the rows themselves show before any fit: repeats, impossible values, mixed units, mixed ways
// of counting, checkpoints among finished runs.
#pragma once
#include <vector>

#include "law/fit.h"
#include "law/select.h"

namespace rung {

std::vector<Diagnostic> diagnose_rows(const Table& table, const Selection& selection,
                                      const FitOptions& options);

// Of these, the ways of counting parameters and FLOPs. Called by diagnose_rows.
std::vector<Diagnostic> diagnose_counting(const Table& table, const Selection& selection,
                                          const FitOptions& options);

}  // namespace rung
