"""Scaling laws of language models: fit, predict, plan.

>>> import rung
>>> fit = rung.fit("runs.csv", law="chinchilla")            # doctest: +SKIP
>>> fit.coefficients["alpha"], fit.intervals["alpha"]       # doctest: +SKIP
>>> fit.predict(N=7e9, D=1.4e12)                            # doctest: +SKIP
>>> fit.plan(flops=1e21)                                    # doctest: +SKIP

Docs: docs/python.md.
"""

from ._errors import Error, Refused, UsageError
from ._fit import Fit, Form, load
from ._fitting import fit
from ._laws import Law, Laws, laws
from ._plan import Plan
from ._results import Diagnostic, Interval, Misfit, Prediction, Profile
from ._rung import version as __version__

__all__ = [
    "Diagnostic",
    "Error",
    "Fit",
    "Form",
    "Interval",
    "Law",
    "Laws",
    "Misfit",
    "Plan",
    "Prediction",
    "Profile",
    "Refused",
    "UsageError",
    "__version__",
    "fit",
    "laws",
    "load",
]
