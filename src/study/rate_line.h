// Losses over the learning rate, of several seeds: what sweeps and their transfer read an optimum
// from.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "study/lr_rule.h"

namespace rung {

using RateLine = std::map<double, std::map<uint64_t, double>>;  // by learning rate and seed

double seed_mean(const std::map<uint64_t, double>& losses);
std::vector<BowlPoint> seed_means_of(const RateLine& line);  // finite ones
std::vector<BowlPoint> of_seed(const RateLine& line, uint64_t seed);

// The bowl of a line of learning rates, from the points near its best; its error is that of a
// relative noise of 0.002, between seeds of small models.
BowlFit line_bowl(const std::vector<BowlPoint>& points);

// Of the mean of two values or more.
double standard_error_of(const std::vector<double>& values);

}  // namespace rung
