"""A fit, and what it is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from . import _check as check
from . import _rung
from ._errors import UsageError
from ._findings import Findings
from ._plan import Plan, next_runs, plan_of, plan_options
from ._predict import predict_at, predict_rows
from ._results import Array, Prediction
from ._table import Columns, Data, Path


@dataclass(frozen=True)
class Form:
    """One of several laws that were fitted side by side: its weight, and how far it missed the largest rungs when
    it was fitted without them (inf where that was not possible, ``problem`` says why)."""

    law: str
    weight: float
    rollout_error: float
    problem: str
    fit: Fit


class Fit(Findings):
    """A fitted law, or the reasons why the data do not determine it (``refused``).

    Made by :func:`rung.fit` and :func:`rung.load`; can be pickled. Where several laws were fitted, it reads as the
    one of the largest weight, and :meth:`predict` mixes all of them.
    """

    @cached_property
    def samples(self) -> dict[str, Array]:
        """Each coefficient's values over the resamples."""
        values = np.asarray(self._forms.samples())
        return {name: values[:, i] for i, name in enumerate(self._forms.names())} if values.size else {}

    @cached_property
    def parts(self) -> dict[str, Fit]:
        """A procedure's further quantities by target; empty for a law."""
        parts = [Fit(self._forms.part(i)) for i in range(self._forms.parts)]
        return {part.target: part for part in parts}

    @cached_property
    def forms(self) -> list[Form]:
        """The laws that were fitted side by side; empty for a single law."""
        return [
            Form(
                law=entry["law"],
                weight=entry["weight"],
                rollout_error=float("inf") if entry["rollout_error"] is None else entry["rollout_error"],
                problem=entry["problem"],
                fit=Fit(self._forms.form(i)),
            )
            for i, entry in enumerate(self._json.get("forms", []))
        ]

    @overload
    def predict(
        self,
        data: None = None,
        /,
        *,
        level: float | None = None,
        threads: int | None = None,
        force: bool = False,
        **at: float,
    ) -> Prediction[float]: ...

    @overload
    def predict(
        self,
        data: None = None,
        /,
        *,
        level: float | None = None,
        threads: int | None = None,
        force: bool = False,
        **at: ArrayLike,
    ) -> Prediction[Array]: ...

    @overload
    def predict(
        self,
        data: Data,
        /,
        *,
        level: float | None = None,
        columns: Columns = None,
        schedules: Data = None,
        force: bool = False,
    ) -> Prediction[Array]: ...

    def predict(
        self,
        data: Data = None,
        /,
        *,
        level: float | None = None,
        columns: Any = None,
        schedules: Any = None,
        threads: int | None = None,
        force: bool = False,
        **at: Any,
    ) -> Any:
        """The loss (or the law's other target) of a new measurement, with its interval.

        >>> fit.predict(N=7e9, D=1.4e12).loss                     # doctest: +SKIP
        >>> fit.predict(N=[1e9, 7e9], D=1.4e12, level=0.5).hi     # doctest: +SKIP
        >>> fit.predict(frame).misfit                             # doctest: +SKIP

        Inputs are keywords, numbers or arrays that broadcast; of N, D and C two are enough (C = 6 N D). A table
        instead is predicted row by row (learning curves, with ``columns`` and ``schedules`` as in :func:`rung.fit`).
        Raises :class:`rung.Refused` where the fit was refused, and without ``force`` where E (or what else is at its
        bound) decides: the data do not determine the answer so far out.
        """
        level = float(self.level if level is None else level)
        if data is None:
            return predict_at(self, at, level, check.threads(threads), bool(force))
        if at:
            raise UsageError(f"[predict] Give a table or inputs, not both. Received {', '.join(at)}.")
        return predict_rows(self, data, level, columns, schedules, bool(force))

    def plan(
        self,
        *,
        flops: float | None = None,
        time: str | float | None = None,
        hardware: str | None = None,
        mfu: float = 0.4,
        format: Literal["bf16", "fp8"] = "bf16",
        peak_flops: float | None = None,
        inference_tokens: float | None = None,
        max_tokens: float | None = None,
        unique_tokens: float | None = None,
        max_params: float | None = None,
        memory: float | None = None,
        bytes_per_parameter: float | None = None,
        inference_memory: float | None = None,
        inference_bits: float | None = None,
        latency: str | float | None = None,
        serve_on: str | None = None,
        bandwidth: float | None = None,
        bit_flops: bool = False,
        experts: int | None = None,
        params: float | None = None,
        width: int | None = None,
        depth: int | None = None,
        vocabulary: int | None = None,
        context: int | None = None,
        head_size: int | None = None,
        kv_heads: int | None = None,
        ffn_ratio: float | None = None,
        plain_ffn: bool = False,
        tied: bool = False,
        flat: float | None = None,
        level: float | None = None,
        next: int | None = None,
        criterion: Literal["target", "d"] = "target",
        target: Mapping[str, float] | None = None,
        candidates: Data = None,
        next_flops: float | None = None,
        max_run_flops: float | None = None,
        fits: Sequence[Fit] = (),
        force: bool = False,
        **other: float,
    ) -> Plan:
        """What to train under a budget: parameters and tokens, real shapes near them, and what ``fits`` know beside.

        >>> fit.plan(flops=1e21, inference_tokens=1e12).N               # doctest: +SKIP
        >>> fit.plan(time="30d", hardware="h100:64", fits=[batch_fit])  # doctest: +SKIP

        The budget is ``flops`` (6 N D, and 2 N for each inference token) or ``time`` on ``hardware`` at ``mfu`` of its
        peak. ``memory`` is in bytes, of which each parameter takes ``bytes_per_parameter`` while training. ``params``, or
        ``width`` and ``depth``, are those of a given model. ``flat``: the near-optimal set holds what lies within this
        fraction of the best loss. ``next`` runs are chosen that shrink the loss's interval most at the plan or ``target``
        (``criterion="d"``: all coefficients'), from a table of ``candidates`` with N and D, or a grid. Further keywords
        are further inputs of the law; the rest as in ``rung plan --help``.
        Raises :class:`rung.Refused` where the fit has no optimum or leaves its place open, and without ``force`` where a
        coefficient at its bound decides the loss.
        """
        given = locals()
        options, runs = plan_options(given, self.level), next_runs(given)
        sources = [self._forms, *(fit._forms for fit in fits)]
        names = ["fit", *(f"fits[{i}]" for i in range(len(fits)))]
        return plan_of(json.loads(_rung.plan(sources, names, options, runs)))

    def save(self, path: Path) -> None:
        """Writes fit.json, which :func:`rung.load` and the command line's ``predict``, ``plan`` and ``report`` read."""
        self._forms.save(os.fspath(path))

    def report(self, path: Path) -> None:
        """Writes a self-contained HTML page: data and law with its band, residuals, profiles, diagnostics."""
        _rung.report(self._forms, os.fspath(path), os.path.basename(os.fspath(path)))

    def to_dict(self) -> dict[str, Any]:
        """fit.json as a dictionary, without the resamples."""
        parsed: dict[str, Any] = json.loads(self._forms.json(samples=False))
        return parsed

    def __repr__(self) -> str:
        return self._forms.text().rstrip("\n")

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._forms.json(samples=True),)


def load(path: Path) -> Fit:
    """A fit as ``Fit.save`` or ``rung fit --out`` wrote it."""
    return Fit(_rung.load(os.fspath(path)))


def _unpickle(text: str) -> Fit:
    return Fit(_rung.parse(text))
