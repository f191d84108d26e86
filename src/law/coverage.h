// Do intervals cover? Many planted ladders of a law are fitted; counted is how often a 90 %
// interval holds what it should: each planted coefficient, and a new measurement beyond the data.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/simulate.h"

namespace rung {

struct CoverageOptions {
  int ladders = 1000;
  double factor = 10.0;  // how far beyond the data the prediction lies
  uint64_t seed = 0;
  int threads = 0;   // ladders at a time; 0: one a core
  FitOptions fit{};  // law, columns and threads are set by the study
};

struct CoefficientCoverage {
  std::string name;
  bool nuisance = false;
  double covered = 0.0;       // share of the intervals that hold the planted value
  double median_error = 0.0;  // of |estimate / planted - 1|
  double median_width = 0.0;  // of the interval, relative to the planted value
};

struct Coverage {
  const Law* law = nullptr;
  int ladders = 0, refused = 0;  // shares below are among the fits that were not refused
  int missed = 0;                // fits that end above the objective of the planted coefficients
  std::map<std::string, int> codes{};               // of the refusals
  size_t points = 0;                                // rows a ladder
  std::vector<CoefficientCoverage> coefficients{};  // the free ones
  double predicted = 0.0;         // share of prediction intervals that hold a new measurement
  double prediction_error = 0.0;  // median |prediction / truth - 1|
  double prediction_width = 0.0;  // median width of the interval over the truth
  double seconds = 0.0;           // processor time of a fit, median
};

// Results depend on the seed, not on the threads (but for the seconds).
Coverage measure_coverage(const Planted& planted, const CoverageOptions& options);

}  // namespace rung
