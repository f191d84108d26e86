"""What a fit predicts: at given inputs, or row by row of a table."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check as check
from . import _rung
from ._errors import Refused, UsageError
from ._results import Array, Misfit, Prediction
from ._table import Columns, Data, column_map, column_names, to_table

if TYPE_CHECKING:
    from ._fit import Fit


def predict_at(fit: Fit, at: dict[str, Any], level: float, threads: int, force: bool) -> Prediction[Any]:
    """At inputs that broadcast; a procedure's further quantities that are determined there come along."""
    if not at:
        raise UsageError("[predict] Where? Received nothing. Give inputs, such as N=7e9, D=1.4e12, or a table.")
    names = list(at)
    given = [check.numbers(name, value) for name, value in at.items()]
    try:
        spread = np.broadcast_arrays(*given)
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in zip(names, given))
        raise UsageError(f"[predict] Inputs have unlike shapes. Received {shapes}.") from None
    points = np.stack([np.ravel(value) for value in spread], axis=1)
    answers = _rung.predict(fit._forms, names, points, level, threads, force)
    prediction = _prediction(answers, fit.target, level, spread[0].shape)
    if fit._forms.parts and not fit._forms.composed:
        for target, part in fit.parts.items():
            with contextlib.suppress(Refused):  # what is not determined there is left out
                prediction.quantities[target] = predict_at(part, at, level, threads, force)
    return prediction


def predict_rows(
    fit: Fit, data: Data, level: float, columns: Columns, schedules: Data, force: bool
) -> Prediction[Array]:
    rows = _rung.predict_table(
        fit._forms,
        to_table(data, column_names(columns)),
        column_map(columns),
        None if schedules is None else to_table(schedules),
        level,
        force,
    )
    return Prediction(
        target=fit.target,
        loss=np.asarray(rows["loss"]),
        lo=np.asarray(rows["lo"]),
        hi=np.asarray(rows["hi"]),
        level=level,
        misfit=None if rows["misfit"] is None else Misfit(**rows["misfit"]),
    )


def _prediction(answers: dict[str, Any], target: str, level: float, shape: tuple[int, ...]) -> Prediction[Any]:
    def shaped(values: _rung.Numbers) -> Any:
        array = np.asarray(values)
        return float(array[0]) if shape == () else array.reshape(shape)

    def named(lines: dict[str, _rung.Numbers]) -> dict[str, Any]:
        return {name: shaped(values) for name, values in lines.items()}

    return Prediction(
        target=target,
        loss=shaped(answers["loss"]),
        lo=shaped(answers["lo"]),
        hi=shaped(answers["hi"]),
        level=level,
        sources=named(answers["sources"]),
        extrapolation=named(answers["extrapolation"]),
        outside=named(answers["outside"]),
        warnings=answers["warnings"],
    )
