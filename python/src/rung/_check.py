"""Arguments as numbers, or a usage error that names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._errors import UsageError
from ._results import Array


def number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"[rung] {name} is a number. Received {value!r}.") from None


def whole(name: str, value: Any, most: int) -> int:
    whole = number(name, value)
    if not (whole == whole // 1 and 0 <= whole <= most):
        raise UsageError(f"[fit] {name} is a whole number from 0 to {most}. Received {value!r}.")
    return int(value)


def count(name: str, value: Any) -> int:
    amount = number(name, value)
    if not (amount == amount // 1 and 1 <= amount <= 2**53):
        raise UsageError(f"[plan] {name} is a whole number from 1. Received {value!r}.")
    return int(value)


def threads(threads: int | None) -> int:
    if threads is None:
        return 0
    if whole("threads", threads, 1024) == 0:
        raise UsageError("[fit] threads is a whole number from 1 to 1024. Received 0.")
    return int(threads)


def pair(name: str, value: Any) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise UsageError(f"[fit] {name} is a pair of numbers. Received {value!r}.") from None
    return number(name, first), number(name, second)


def bounds(name: str, ends: Any) -> tuple[float, float]:
    try:
        lo, hi = ends
    except (TypeError, ValueError):
        raise UsageError(f"[fit] bound of {name} is a pair of numbers. Received {ends!r}.") from None
    return pair(f"bound of {name}", (-np.inf if lo is None else lo, np.inf if hi is None else hi))


def named_numbers(name: str, values: Mapping[str, float] | None) -> dict[str, float]:
    if values is not None and not isinstance(values, Mapping):
        raise UsageError(f"[fit] {name} maps names to numbers. Received {type(values).__name__}.")
    return {str(key): number(f"{name} of {key}", value) for key, value in (values or {}).items()}


def numbers(name: str, value: ArrayLike) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"[predict] {name} is a number or an array of numbers. Received {value!r}.") from None
