"""Plans, and the options that ask for them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import _check as check
from . import _rung
from ._errors import UsageError
from ._results import Interval, interval, number
from ._table import Path, to_table


@dataclass(frozen=True, eq=False)
class Plan:
    """The best use of a budget that fits know. ``intervals``: of the optimum over the fit's resamples. ``flat``: between
    which ends the loss stays within ``flat_within`` of the best. ``shapes``: real shapes near the optimum. ``batch``,
    ``lr``: what further fits advise. ``next``: the runs to train next, where asked for (what they bring together is in
    ``details["design"]``). ``unknown``: what no fit covers. ``seconds``, ``memory``, ``latency``: nan where
    unknown. ``details``: the file of ``rung plan --out`` as a dictionary, the loss along the budget (``basin``) included."""

    N: float
    D: float
    C: float
    loss: float
    lo: float
    hi: float
    level: float
    intervals: dict[str, Interval]
    flat: dict[str, Interval]
    flat_within: float
    limits: list[str]
    remarks: list[str]
    extrapolation: dict[str, float]
    source: str
    seconds: float
    memory: float
    latency: float
    shapes: list[dict[str, Any]]
    batch: list[dict[str, Any]]
    lr: list[dict[str, Any]]
    next: list[dict[str, Any]]
    unknown: list[str]
    details: dict[str, Any]

    def save(self, path: Path) -> None:
        """Writes the file of ``rung plan --out``, which ``rung report`` draws."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.details, file, indent=2)
            file.write("\n")

    def report(self, path: Path) -> None:
        """Writes a self-contained HTML page: the loss along the budget, the near-optimal set, real shapes."""
        _rung.report_plan(json.dumps(self.details), os.fspath(path), os.path.basename(os.fspath(path)))

    def __repr__(self) -> str:
        text = f"Plan(N {self.N:.4g}, D {self.D:.4g}, C {self.C:.4g}; loss {self.loss:.4f},"
        text += f" {100 * self.level:g} % {self.lo:.4f} to {self.hi:.4f})"
        for name, ends in self.intervals.items():
            near = self.flat[name]
            text += f"\n{name}: {100 * self.level:g} % {ends.lo:.4g} to {ends.hi:.4g};"
            text += f" within {100 * self.flat_within:g} % of the loss {near.lo:.4g} to {near.hi:.4g}"
        text += "".join(f"\nlimited by {limit}" for limit in self.limits)
        for i, run in enumerate(self.next, 1):
            text += f"\nnext {i}: N {run['N']:.4g}, D {run['D']:.4g}, {run['flops']:.4g} FLOPs;"
            text += f" removes {100 * run['variance_removed']:.1f} % of the variance"
        return text + "".join(f"\n{remark}" for remark in self.remarks)


def plan_of(details: dict[str, Any]) -> Plan:
    keys = ("N", "D", "C", "loss", "lo", "hi", "level", "seconds", "memory", "latency")
    numbers: dict[str, Any] = {key: number(details[key]) for key in keys}
    return Plan(
        **numbers,
        source=details["source"],
        shapes=details["shapes"],
        batch=details["batch"],
        lr=details["lr"],
        next=details["design"]["runs"] if "design" in details else [],
        unknown=details["unknown"],
        intervals={name: interval(ends) for name, ends in details["intervals"].items()},
        flat={name: interval(details["flat"][name]) for name in details["intervals"]},
        flat_within=details["flat"]["within"],
        limits=details["limits"],
        remarks=[remark.replace("--", "") for remark in details["remarks"]],
        extrapolation={name: number(ratio) for name, ratio in details["extrapolation"].items()},
        details=details,
    )


#: Numbers that an option takes as they are, by the name that it has here.
_NUMBERS = {
    "flops": "flops",
    "inference_tokens": "inference_tokens",
    "max_tokens": "max_tokens",
    "unique_tokens": "unique_tokens",
    "max_params": "max_params",
    "memory": "memory",
    "bytes_per_parameter": "bytes_per_parameter",
    "inference_memory": "inference_memory",
    "inference_bits": "inference_bits",
    "bandwidth": "bandwidth",
    "params": "size",
    "flat": "flat",
    "level": "level",
}


def plan_options(given: Mapping[str, Any], level: float) -> _rung.PlanOptions:
    """From the keywords of ``Fit.plan``; None leaves the default."""
    options = _rung.PlanOptions()
    options.level = level
    _read_hardware(options, given)
    for name, field in {"time": "seconds", "latency": "latency"}.items():
        if given[name] is not None:
            setattr(options, field, _seconds(name, given[name]))
    options.bit_flops, options.force = bool(given["bit_flops"]), bool(given["force"])
    for name, field in _NUMBERS.items():
        if given[name] is not None:
            setattr(options, field, check.number(name, given[name]))
    for name in ("width", "depth", "experts"):
        if given[name] is not None:
            setattr(options, name, check.count(name, given[name]))
    for name in ("vocabulary", "context", "head_size", "kv_heads"):
        if given[name] is not None:
            setattr(options.shape, name, check.count(name, given[name]))
    if given["ffn_ratio"] is not None:
        options.shape.ffn_ratio = check.number("ffn_ratio", given["ffn_ratio"])
    options.shape.gated, options.shape.tied = not given["plain_ffn"], bool(given["tied"])
    options.other = {name: check.number(name, value) for name, value in given["other"].items()}
    return options


def next_runs(given: Mapping[str, Any]) -> _rung.NextRuns | None:
    """What is asked of the runs to train next; None where nothing is."""
    if given["next"] is None:
        wanted = ("target", "candidates", "next_flops", "max_run_flops")
        extra = [name for name in wanted if given[name] is not None]
        if extra:
            raise UsageError(f"[plan] {extra[0]} is about the runs to train next. Received no next.")
        return None
    runs = _rung.NextRuns()
    runs.runs = check.count("next", given["next"])
    if given["criterion"] not in ("target", "d"):
        raise UsageError(f"[plan] criterion is target or d. Received {given['criterion']!r}.")
    if given["criterion"] == "d":
        runs.set_determinant()
    runs.target = check.named_numbers("target", given["target"])
    if given["candidates"] is not None:
        runs.set_candidates(to_table(given["candidates"]))
    for name, field in {"next_flops": "flops", "max_run_flops": "max_run_flops"}.items():
        if given[name] is not None:
            setattr(runs, field, check.number(name, given[name]))
    return runs


def _seconds(name: str, value: Any) -> float:
    """Seconds, or a text such as 30d."""
    return _rung.parse_time(value) if isinstance(value, str) else check.number(name, value)


def _read_hardware(options: _rung.PlanOptions, given: Mapping[str, Any]) -> None:
    """The training rate, its memory and the bandwidth that serves, from devices by name: as `rung plan` reads them."""
    hardware, format, own = given["hardware"], given["format"], given["peak_flops"]
    mfu = check.number("mfu", given["mfu"])
    if not 0 < mfu <= 1:
        raise UsageError(f"[plan] mfu lies between 0 and 1. Received {mfu:g}.")
    if format not in ("bf16", "fp8"):
        raise UsageError(f"[plan] format is bf16 or fp8. Received {format!r}.")
    peak, count = 0.0, 1.0
    if hardware is not None:
        devices = _rung.parse_hardware(str(hardware), own is not None)
        peak, count = devices.fp8 if format == "fp8" else devices.bf16, devices.count
        if devices.memory > 0:
            options.memory = devices.memory * count
        options.bandwidth = devices.bandwidth
    if own is not None:
        peak = check.number("peak_flops", own)
    if (hardware is not None or own is not None) and not peak > 0:
        raise UsageError(f"[plan] No {format} peak is known of {hardware}. Received {peak:g}. Give peak_flops.")
    options.rate = peak * count * mfu
    if given["serve_on"] is not None:
        serving = _rung.parse_hardware(str(given["serve_on"]), False)
        options.bandwidth = serving.bandwidth * serving.count
        options.inference_memory = serving.memory * serving.count
