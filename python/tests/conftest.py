"""Data that several tests share."""

from __future__ import annotations

import csv
import os
import pathlib

import numpy as np
import pytest

import rung

ROOT = pathlib.Path(__file__).resolve().parents[2]
EPOCH = ROOT / "tests/law/data/chinchilla-epoch/points.csv"
#: The re-analysis drops the five highest losses (240 rows).
EPOCH_FILTER = "loss < 3.44"
GOLDEN = 0.00101827401780  # measured optimum of these rows


@pytest.fixture(scope="session")
def epoch_columns() -> dict[str, np.ndarray]:
    """N, C and L of the Epoch points as arrays."""
    with EPOCH.open() as file:
        rows = list(csv.DictReader(file))
    names = {"N": "Model Size", "C": "Training FLOP", "L": "loss"}
    return {name: np.array([float(row[column]) for row in rows]) for name, column in names.items()}


@pytest.fixture(scope="session")
def epoch_fit() -> rung.Fit:
    return rung.fit(EPOCH, where=EPOCH_FILTER, bootstrap=200)


@pytest.fixture(scope="session")
def line() -> dict[str, np.ndarray]:
    """D = 20 N exactly: sizes and data cannot be told apart."""
    N = 1e7 * 2.0 ** np.arange(12)
    return {"N": N, "D": 20 * N, "L": 1.8 + 400 / N**0.35 + 2000 / (20 * N) ** 0.37}


@pytest.fixture(scope="session")
def command_line() -> str:
    """The program rung-law, to compare with."""
    program = os.environ.get("RUNG_LAW", "")
    if not program:
        pytest.skip("skipped: RUNG_LAW does not name the program rung-law")
    return program


@pytest.fixture(scope="session")
def open_table() -> dict[str, np.ndarray]:
    """Narrow and noisy: E runs to 0, which decides predictions far out."""
    k = np.arange(25)
    N, D = 1e7 * 10 ** (0.3 * (k // 5)), 2e8 * 10 ** (0.3 * (k % 5))
    return {"N": N, "D": D, "L": (12 * N**-0.12 + 14 * D**-0.13 - 0.3) * np.exp(0.006 * np.sin(2.4 * k + 2.4))}
