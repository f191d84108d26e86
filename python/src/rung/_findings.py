"""What a fit found: the reading of its fit.json."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np

from . import _rung
from ._results import Diagnostic, Interval, Profile, interval, number


class Findings:
    """The facts of a fit; :class:`Fit` is what to do with them."""

    def __init__(self, forms: _rung.Forms) -> None:
        self._forms = forms

    @cached_property
    def _json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self._forms.json(samples=False))
        return parsed

    def _by_coefficient(self, key: str) -> dict[str, float]:
        return {name: number(entry[key]) for name, entry in self._json["coefficients"].items()}

    @property
    def refused(self) -> bool:
        """True where the data do not determine the law: there are diagnostics, and no coefficients."""
        return bool(self._json["status"] == "refused")

    @property
    def law(self) -> str:
        return str(self._json["law"])

    @property
    def formula(self) -> str:
        return str(self._json["formula"])

    @property
    def target(self) -> str:
        """What the law gives: ``L`` is the loss."""
        return str(self._json.get("target", "L"))

    @property
    def inputs(self) -> list[str]:
        """What the law's inputs stand for: N, D, C or columns' names."""
        return list(self._json["inputs"])

    @cached_property
    def coefficients(self) -> dict[str, float]:
        """Name to value; empty where refused. A procedure's hold those of all its quantities."""
        return self._by_coefficient("value")

    @cached_property
    def standard_errors(self) -> dict[str, float]:
        return self._by_coefficient("se")

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Name to the ends of its interval at :attr:`level`."""
        return {name: interval(entry) for name, entry in self._json["coefficients"].items()}

    @property
    def level(self) -> float:
        return float(self._json["level"])

    @property
    def objective(self) -> float:
        """The minimum that was reached (Huber's is a sum); nan where refused."""
        return number(self._json["objective"]["value"])

    @property
    def objective_name(self) -> str:
        return str(self._json["objective"]["name"])

    @property
    def points(self) -> int:
        """Rows that were fitted."""
        return int(self._json["points"])

    @property
    def residual_rms(self) -> float:
        """Of ln(measured / law), or raw where the objective's residuals are; nan where refused."""
        return number(self._json["residual_rms"])

    @property
    def condition(self) -> float:
        """Condition number of the Hessian; inf where singular, nan where refused."""
        value = self._json["condition"]
        return float("inf") if value is None and not self.refused else number(value)

    @property
    def ranges(self) -> dict[str, Interval]:
        """Of the data: N, D, C where known, and every input."""
        return {name: interval(ends, "min", "max") for name, ends in self._json["ranges"].items()}

    @cached_property
    def diagnostics(self) -> list[Diagnostic]:
        return [Diagnostic(**entry) for entry in self._json["diagnostics"]]

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """Profile likelihoods by coefficient, where ``profile=True`` asked for them."""
        return {
            name: Profile(
                values=np.array(entry["values"], dtype=np.float64),
                objective=np.array(entry["objective"], dtype=np.float64),
                deviance=np.array(entry["deviance"], dtype=np.float64),
                threshold=entry["threshold"],
                lo=number(entry["lo"]),
                hi=number(entry["hi"]),
            )
            for name, entry in self._json.get("profiles", {}).items()
        }

    @property
    def checklist(self) -> dict[str, Any]:
        """The record of "(Mis)Fitting" (Li et al. 2025): what was fitted, to which rows, how, and how well."""
        return dict(self._json["checklist"])

    @property
    def derivation(self) -> dict[str, Any]:
        """How a procedure came to its points; empty for a law."""
        return dict(self._json.get("derivation", {}))

    @property
    def seconds(self) -> float:
        return float(self._json["seconds"])
