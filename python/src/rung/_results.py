"""What fits say: intervals, diagnostics, profiles, predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: A number at one point, an array at many.
T = TypeVar("T", float, NDArray[np.float64])


def number(value: float | None) -> float:
    """JSON has null for what is not finite."""
    return float("nan") if value is None else float(value)


class Interval(NamedTuple):
    """Two ends, nan where unknown."""

    lo: float
    hi: float


def interval(ends: dict[str, float | None], lo: str = "lo", hi: str = "hi") -> Interval:
    return Interval(number(ends[lo]), number(ends[hi]))


@dataclass(frozen=True)
class Diagnostic:
    """A note, warning or refusal. Codes are stable; docs/laws.md lists them."""

    code: str
    severity: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity} [{self.code}] {self.text}"


@dataclass(frozen=True, eq=False)
class Profile:
    """The objective minimised over all other coefficients, along one; lo and hi are where the deviance crosses the
    threshold, nan on a side that stays open."""

    values: Array
    objective: Array
    deviance: Array
    threshold: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Misfit:
    """Predictions against the measurements of a table, in the target's own unit: ``inside`` of ``rows`` lie within
    their intervals, ``bias`` is the mean of prediction minus measurement."""

    rows: int
    inside: int
    bias: float
    r2: float
    mae: float
    rmse: float
    mean_relative: float
    worst_relative: float


@dataclass(frozen=True, eq=False)
class Prediction(Generic[T]):
    """What a new measurement would give: numbers for a point, arrays for many.

    ``sources``: half-widths of the interval by what causes them. ``extrapolation``: value over the data's maximum.
    ``outside``: factor beyond the nearest end of the data, for what lies outside (in arrays 1 where it does not).
    ``quantities``: a procedure's further targets. ``misfit``: where a table with measurements was predicted.
    """

    target: str
    loss: T
    lo: T
    hi: T
    level: float
    sources: dict[str, T] = field(default_factory=dict)
    extrapolation: dict[str, T] = field(default_factory=dict)
    outside: dict[str, T] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    quantities: dict[str, Prediction[T]] = field(default_factory=dict)
    misfit: Misfit | None = None

    def __repr__(self) -> str:
        name = "loss" if self.target == "L" else self.target
        if isinstance(self.loss, np.ndarray):
            text = f"Prediction of {name} at {self.loss.size} points, {100 * self.level:g} % intervals"
            if self.misfit is not None:
                text += f"; {self.misfit.inside} of {self.misfit.rows} measurements inside"
            far = {f"{key} up to": float(np.max(factor)) for key, factor in self.outside.items()}
        else:
            text = f"Prediction({name} {self.loss:.5g}, {100 * self.level:g} % {self.lo:.5g} to {self.hi:.5g}"
            text += "".join(f"; {key} ±{width:.2g}" for key, width in self.sources.items()) + ")"
            far = {key: float(factor) for key, factor in self.outside.items()}
        text += "".join(f"\n{key} {factor:.3g} times outside the data" for key, factor in far.items())
        return text + "".join(f"\nwarning: {warning}" for warning in self.warnings)
