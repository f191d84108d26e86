"""The tables that rung.fit takes: the same answer from every kind, and errors that name what is wrong with one."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rung
from conftest import EPOCH, GOLDEN


@pytest.fixture(params=["frame", "mapping", "lists", "array", "structured", "csv", "jsonl"])
def table(request: pytest.FixtureRequest, epoch_columns: dict[str, np.ndarray], tmp_path: pathlib.Path) -> Any:
    kind = request.param
    frame = pd.DataFrame(epoch_columns)
    if kind == "frame":
        return frame, None
    if kind == "mapping":
        return epoch_columns, None
    if kind == "lists":
        return {name: list(map(float, values)) for name, values in epoch_columns.items()}, None
    if kind == "array":
        return np.stack(list(epoch_columns.values()), axis=1), ["N", "C", "L"]
    if kind == "structured":
        return frame.to_records(index=False), None
    if kind == "csv":
        frame.to_csv(tmp_path / "runs.csv", index=False)
        return tmp_path / "runs.csv", None
    frame.to_json(tmp_path / "runs.jsonl", orient="records", lines=True, double_precision=15)
    return str(tmp_path / "runs.jsonl"), None


def test_every_table_fits_alike(table: Any) -> None:
    data, columns = table
    fit = rung.fit(data, columns=columns, where="L < 3.44", bootstrap=0)
    assert fit.points == 240
    assert fit.objective == pytest.approx(GOLDEN, rel=1e-6)


def test_array_is_N_D_L_by_default() -> None:
    N, D = (grid.ravel() for grid in np.meshgrid(10.0 ** np.linspace(7, 9, 6), 10.0 ** np.linspace(9, 11, 6)))
    L = 1.7 + 400 / N**0.34 + 1500 / D**0.36
    fit = rung.fit(np.stack([N, D, L], axis=1), bootstrap=0)
    for name, planted in {"E": 1.7, "A": 400, "B": 1500, "alpha": 0.34, "beta": 0.36}.items():
        assert fit.coefficients[name] == pytest.approx(planted, rel=1e-5)


def test_columns_of_a_frame() -> None:
    frame = pd.read_csv(EPOCH).rename(columns={"Model Size": "size", "Training FLOP": "work", "loss": "nats"})
    by_mapping = rung.fit(frame, columns={"N": "size", "C": "work", "L": "nats"}, where="L < 3.44", bootstrap=0)
    by_text = rung.fit(frame, columns="N=size,C=work,L=nats", where="nats < 3.44", bootstrap=0)
    assert by_mapping.objective == by_text.objective == pytest.approx(GOLDEN, rel=1e-6)
    assert by_mapping.checklist["data"]["columns"] == {"N": "size", "C": "work", "L": "nats"}


def test_numbers_as_objects_and_text_columns(epoch_columns: dict[str, np.ndarray]) -> None:
    frame = pd.DataFrame(epoch_columns)
    frame["L"] = frame["L"].astype("Float64")
    frame["N"] = frame["N"].map(repr)
    frame["split"] = np.where(frame["L"] < 3.44, "train", "dropped")
    fit = rung.fit(frame, where='split == "train"', bootstrap=0)
    assert fit.objective == pytest.approx(GOLDEN, rel=1e-6)


def test_a_view_of_another_array_is_read_in_place(epoch_columns: dict[str, np.ndarray]) -> None:
    wide = np.zeros((245, 7))
    for j, name in enumerate(epoch_columns):
        wide[:, 2 * j] = epoch_columns[name]
    columns = {name: wide[:, 2 * j] for j, name in enumerate(epoch_columns)}
    assert rung.fit(columns, where="L < 3.44", bootstrap=0).objective == pytest.approx(GOLDEN, rel=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -2.0, None])
def test_bad_rows_are_named(line: dict[str, np.ndarray], bad: Any) -> None:
    frame = pd.DataFrame(line, index=range(100, 112))
    frame["L"] = frame["L"].astype(object)
    frame.loc[105, "L"] = bad
    with pytest.raises(rung.Error, match=r"L must be finite and positive.*row 6 \(index 105\)") as caught:
        rung.fit(frame)
    assert not isinstance(caught.value, ValueError) and "\n" not in str(caught.value)
    with pytest.raises(rung.Error, match=r"row 6 \(index 5\)"):
        rung.fit({name: frame[name].tolist() for name in frame})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (42, "Received int"),
        ([1.0, 2.0], "Received list"),
        (np.zeros((4, 2)), "needs as many names"),
        (np.zeros(4), "two dimensions"),
        ({"N": 3.0}, "no list of values"),
        ({"N": np.zeros(3, dtype=complex)}, "complex128"),
        ({"N": [1.0], "D": [1.0, 2.0]}, "equally long"),
        ({"N": [], "D": [], "L": []}, "No row is left"),
        (pd.DataFrame([[1, 2]], columns=["N", "N"]), "one name"),
        ({"N": [1.0], "D": [2.0]}, r'no column for the loss.*Name it: columns={"L": "COLUMN"}\.'),
        ("none.csv", "none.csv"),
    ],
)
def test_unusable_data(data: Any, message: str) -> None:
    with pytest.raises(rung.Error, match=message):
        rung.fit(data)
