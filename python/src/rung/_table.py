"""Tables from whatever holds columns: files, data frames, mappings, arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from . import _rung
from ._errors import UsageError

Path = Union[str, "os.PathLike[str]"]
#: A file, several files (learning curves, a file a run), a data frame, a mapping of names to columns, or an array.
Data = Any
#: Which column holds a quantity: ``{"N": "params"}`` or ``"N=params,L=loss"``; for an array its columns' names.
Columns = Union[None, str, Mapping[str, str], Sequence[str]]


def is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def missing(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def cell(value: object) -> str:
    """An entry as it would stand in a file."""
    return "" if missing(value) else str(value)


def add_column(table: _rung.Table, name: str, values: object) -> None:
    """One copy: from the caller's memory into the table. Text, and objects that may be numbers, are read as cells."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise UsageError(f"[table] Column {name} is no list of values. Received {array.ndim} dimensions.")
    if array.dtype.kind in "fiub":
        table.add_numbers(name, np.asarray(array, dtype=np.float64))
    elif array.dtype.kind in "OUSTMm":
        table.add_cells(name, [cell(value) for value in array.tolist()])
    else:
        raise UsageError(f"[table] Column {name} holds no numbers or text. Received {array.dtype}.")


def set_index(table: _rung.Table, index: object = None) -> None:
    """What the caller calls the rows, for messages: a data frame's index if it is whole numbers, else 0, 1, ..."""
    labels = np.arange(table.rows) if index is None else np.asarray(index)
    if labels.dtype.kind in "iu" and labels.shape == (table.rows,):
        table.set_index(np.asarray(labels, dtype=np.int64))


def from_array(array: NDArray[Any], names: Sequence[str] | None) -> _rung.Table:
    table = _rung.Table("array")
    if array.dtype.names is not None:
        for name in array.dtype.names:
            add_column(table, name, array[name])
    elif array.ndim != 2:
        raise UsageError(f"[table] An array needs two dimensions, a row a run. Received {array.ndim}.")
    else:
        names = ["N", "D", "L"] if names is None else [str(name) for name in names]
        if len(names) != array.shape[1]:
            raise UsageError(
                f"[table] An array of {array.shape[1]} columns needs as many names. Received {', '.join(names)}."
                f' Give columns=["N", "D", "L"].'
            )
        for j, name in enumerate(names):
            add_column(table, name, array[:, j])
    set_index(table)
    return table


def from_columns(data: Any, names: Iterable[Any], source: str) -> _rung.Table:
    table = _rung.Table(source)
    names = list(names)
    twice = {str(name) for i, name in enumerate(names) if str(name) in map(str, names[:i])}
    if twice:
        raise UsageError(f"[table] Two columns have one name. Received {', '.join(sorted(twice))}. Rename one.")
    for name in names:
        add_column(table, str(name), data[name])
    return table


def to_table(data: Data, names: Sequence[str] | None = None) -> _rung.Table:
    if is_path(data):
        return _rung.read_runs([os.fspath(data)])
    if isinstance(data, _rung.Table):
        return data
    if isinstance(data, np.ndarray):
        return from_array(data, names)
    if isinstance(data, Mapping):
        table = from_columns(data, data, "mapping")
        set_index(table)
        return table
    columns = getattr(data, "columns", None) if hasattr(data, "__getitem__") else None
    if columns is not None and not callable(columns):
        if hasattr(data, "column_names"):  # pyarrow's columns are the values
            columns = data.column_names
        table = from_columns(data, columns, type(data).__name__)
        set_index(table, getattr(data, "index", None))
        return table
    if isinstance(data, Sequence) and data and all(map(is_path, data)):
        return _rung.read_runs([os.fspath(path) for path in data])
    raise UsageError(
        f"[table] Data are a file, a data frame, a mapping of columns or an array. Received {type(data).__name__}."
    )


def column_map(columns: Columns) -> dict[str, str]:
    if columns is None:
        return {}
    if isinstance(columns, str):
        return _rung.parse_columns(columns)
    if isinstance(columns, Mapping):
        return {str(quantity): str(column) for quantity, column in columns.items()}
    return {}  # names of an array's columns


def column_names(columns: Columns) -> Sequence[str] | None:
    return columns if columns is not None and not isinstance(columns, (str, Mapping)) else None


def named_column(table: _rung.Table, given: object, name: str) -> str:
    """A column's name as it is; values become a column of their own."""
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    while table.has(name):
        name += "_"
    add_column(table, name, given)
    return name
