// What a smoothly broken power law needs of exponentials and logarithms, over many rows at once, by
// vector functions.
#pragma once
#include <cstddef>

namespace rung {

// ln of the reducible loss: log_A + (a - b) B - a ln x, B = f ln(1 + (x/x_break)^(1/f)).
struct Bend {
  double log_A, a, b, log_break, f;
};

// Of z = (ln x - log_break) / f at each of `rows` rows: z itself, the sigmoid of z, ln(1 + e^z),
// and the reducible loss. `log_x` holds every second number.
struct BendRows {
  double* z;
  double* above;
  double* level;
  double* term;
};
void bend_rows(Bend bend, const double* log_x, size_t rows, BendRows out);

// The reducible loss alone.
void bend_terms(Bend bend, const double* log_x, size_t rows, double* term);

}  // namespace rung
