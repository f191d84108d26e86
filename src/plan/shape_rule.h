// How wide and how deep: the preferred depth of a model of N parameters.
//   fitted      a width-depth law's own optimum: with N = k depth width^2 its loss
//               A_w/width^a_w + A_d/depth^a_d is least where
//               a_w A_w width^-a_w = 2 a_d A_d depth^-a_d
//               It also prices a shape: its loss over that of the best shape of the same N and D
//   levine      a fit of width = e^(a + b depth), or without any fit its published constants,
//               a = 5.039, b = 0.0555: the width below which a further layer no longer pays.
//               Source: Levine et al. 2020, "The Depth-to-Width Interplay in Self-Attention".
// Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 3.1, found the loss to
// depend only weakly on the aspect ratio, so candidates a factor about it are shown as well.
#pragma once
#include <string>

#include "law/fit.h"
#include "plan/shape.h"

namespace rung {

struct ShapeRule {
  const Fit* fit = nullptr;  // null: Levine's published constants
  std::string source{};      // what the plan says that the shape comes from
  double level = 0.9;

  // Preferred width over depth at N, by the fit's coefficients.
  double aspect(double n, const ShapeOptions& options) const;
  // The same over the fit's samples; both ends equal the value where there are none.
  Range aspect_interval(double n, const ShapeOptions& options) const;

  // True where the fit is one of losses, so that it knows what a shape costs.
  bool prices() const;
  // The fit's loss of a shape over the least among shapes of the same N, tokens and readout; 1
  // without such a fit.
  double price(const ModelShape& shape, double tokens, const ShapeOptions& options) const;
};

// A fit of levine, width-depth or width-depth-size; null for the default.
ShapeRule make_shape_rule(const Fit* fit, std::string source, double level);

bool is_shape_law(const Law& law);

}  // namespace rung
