"""Fitting a law to a table."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

from numpy.typing import ArrayLike

from . import _check as check
from . import _rung
from ._errors import UsageError
from ._fit import Fit
from ._table import Columns, Data, column_map, column_names, is_path, named_column, to_table

#: A law's or procedure's name, a file LAW.toml, a definition (what such a file holds), or several of them.
LawLike = Union[str, "os.PathLike[str]", Mapping[str, Any]]


def fit(
    data: Data,
    law: LawLike | Sequence[LawLike] = "chinchilla",
    *,
    columns: Columns = None,
    where: str | None = None,
    objective: str | None = None,
    delta: float = 1e-3,
    tau: float = 0.5,
    weights: str | ArrayLike | None = None,
    sd: str | ArrayLike | None = None,
    cluster: str | ArrayLike | None = None,
    fix: Mapping[str, float] | None = None,
    bound: Mapping[str, tuple[float | None, float | None]] | None = None,
    tie: Mapping[str, str] | None = None,
    prior: Mapping[str, tuple[float, float]] | None = None,
    bootstrap: int = 1000,
    profile: bool = False,
    level: float = 0.9,
    seed: int = 0,
    settings: Mapping[str, float] | None = None,
    schedules: Data = None,
    order: str | None = None,
    threads: int | None = None,
) -> Fit:
    """Fits a law to a table of runs, with intervals and diagnostics, or refuses with reasons (``Fit.refused``).

    >>> import rung
    >>> N = [1e8, 2e8, 4e8, 8e8, 1.6e9] * 5
    >>> D = [d for d in (1e9, 3e9, 9e9, 27e9, 81e9) for _ in range(5)]
    >>> L = [1.8 + 480 / n**0.35 + 2100 / d**0.37 for n, d in zip(N, D)]
    >>> fit = rung.fit({"N": N, "D": D, "L": L}, bootstrap=100)
    >>> round(fit.coefficients["alpha"], 4)
    0.35

    Parameters
    ----------
    data
        A data frame, a mapping of names to columns, an array (a row a run; N, D, L unless ``columns`` names them), or
        a file (CSV, TSV, JSON lines); several files are learning curves, a file a run.
    law
        A name of :func:`rung.laws`, a file LAW.toml, or a mapping with what such a file holds. Several are weighed by
        how each predicts the largest rungs (in ``order``) from the smaller ones.
    columns
        Which columns to read, ``{"N": "params"}``; by default those named like N, D, C, L.
    where
        Rows to keep, ``"C > 1e18 and N < D"``.
    objective, delta, tau
        huber-log, huber, mae-asymmetric, quantile, least-squares or raw-least-squares (default: the law's own);
        Huber's threshold; the quantile.
    weights, sd, cluster
        A column's name, or values: weights of the rows; standard deviations of the target (weights of their inverse
        square); groups of rows that are resampled together.
    fix, bound, tie, prior
        Coefficients held at a value, ``{"E": 1.8}``; kept in a range, ``{"alpha": (0.1, 0.6)}``; of one value,
        ``{"alpha": "beta"}``; with a Gaussian belief (mean, sd), on the logarithm where the law searches it so.
    bootstrap, level, seed, profile
        Resamples for the intervals (0: normal approximation); their probability; their seed; whether to follow every
        coefficient's profile likelihood.
    settings, schedules
        What a procedure leaves open; the learning rates of learning curves (a table run, step, lr, shape).
    threads
        At most so many, by default one a core. Results do not depend on it.

    Other Python threads run meanwhile. Raises :class:`rung.Error` on unusable values, naming their rows, and
    :class:`rung.UsageError` on calls that cannot be meant.
    """
    table = to_table(data, column_names(columns))
    laws = _laws(law)
    options = _rung.FitOptions()
    options.columns = column_map(columns)
    if where is not None and not isinstance(where, str):
        raise UsageError('[fit] where is an expression, such as "C > 1e18"; filter the data themselves by a mask.')
    options.where = where or ""
    options.objective = objective or ""
    options.delta = check.number("delta", delta)
    options.tau = check.number("tau", tau)
    options.weights = named_column(table, weights, "weights")
    options.sd = named_column(table, sd, "sd")
    options.cluster = named_column(table, cluster, "cluster")
    options.fix = check.named_numbers("fix", fix)
    options.settings = check.named_numbers("settings", settings)
    options.bound = {name: check.bounds(name, ends) for name, ends in (bound or {}).items()}
    options.tie = [(str(first), str(second)) for first, second in (tie or {}).items()]
    options.prior = {name: _rung.Prior(*check.pair(f"prior of {name}", belief)) for name, belief in (prior or {}).items()}
    options.bootstrap = check.whole("bootstrap", bootstrap, 10_000_000)
    options.seed = check.whole("seed", seed, 2**63 - 1)
    options.level = check.number("level", level)
    options.profile = bool(profile)
    options.threads = check.threads(threads)
    if schedules is not None:
        options.set_schedules(to_table(schedules))
    if order and len(laws) == 1:
        raise UsageError(f"[fit] order is for several laws, which are weighed in it. Received {laws[0]} alone.")
    return Fit(_rung.fit(table, options, laws, order or ""))


def _laws(law: LawLike | Sequence[LawLike]) -> list[str]:
    if isinstance(law, str) and "," in law and ":" not in law:
        return [_law(one) for one in law.split(",")]
    if is_path(law) or isinstance(law, Mapping):
        return [_law(law)]
    if isinstance(law, Sequence):
        return [_law(one) for one in law]
    raise UsageError(f"[fit] A law is a name, a file, a mapping or a list of them. Received {type(law).__name__}.")


def _law(law: Any) -> str:
    if isinstance(law, Mapping):
        return _rung.check_law(json.dumps(law))
    if not is_path(law):
        raise UsageError(f"[fit] A law is a name, a file or a mapping. Received {type(law).__name__}.")
    text = os.fspath(law)
    return _rung.read_law(text) if text.endswith(".toml") else str(text)
