"""The table of laws and procedures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _rung


@dataclass(frozen=True)
class Law:
    """A law, or a procedure that derives points and fits ``laws`` to them.

    ``inputs``: what a law reads; of a procedure its columns. ``coefficients``: name to meaning. ``settings``: what a
    procedure leaves open, with its default.
    """

    name: str
    formula: str
    source: str
    identifiable: str
    inputs: list[str]
    target: str = ""
    objective: str = ""
    coefficients: dict[str, str] = field(default_factory=dict)
    laws: list[str] = field(default_factory=list)
    settings: dict[str, float] = field(default_factory=dict)


class Laws(Mapping[str, Law]):
    """Every law and procedure by name; printed as a table."""

    def __init__(self, entries: list[Law]) -> None:
        self._entries = {law.name: law for law in entries}

    def __getitem__(self, name: str) -> Law:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        width = max(map(len, self._entries))
        return "\n".join(f"{law.name:<{width}}  {law.formula}" for law in self._entries.values())


def _law(entry: dict[str, Any]) -> Law:
    return Law(
        **{key: entry[key] for key in ("name", "formula", "source", "identifiable", "inputs", "target", "objective")},
        coefficients={c["name"]: c["meaning"] for c in entry["coefficients"]},
    )


def _procedure(entry: dict[str, Any]) -> Law:
    return Law(
        **{key: entry[key] for key in ("name", "formula", "source", "identifiable")},
        inputs=[column["name"] for column in entry["columns"]],
        target=entry["laws"][0]["target"] if entry["laws"] else "",
        laws=[law["name"] for law in entry["laws"]],
        settings={name: setting["value"] for name, setting in entry["settings"].items()},
    )


def laws() -> Laws:
    """The laws that :func:`rung.fit` knows by name.

    >>> import rung
    >>> rung.laws()["chinchilla"].formula
    'L = E + A/N^alpha + B/D^beta'
    """
    tables = json.loads(_rung.laws())
    return Laws([*map(_law, tables["laws"]), *map(_procedure, tables["procedures"])])
