// Student's t: intervals of means and slopes from few points.
#pragma once

namespace rung {

// P(T <= t) and its inverse for whole degrees of freedom from 1.
double student_probability(double t, int freedom);
double student_quantile(double probability, int freedom);

}  // namespace rung
