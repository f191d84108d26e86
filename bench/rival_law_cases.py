"""The stored tables as fits: what bench/rival_laws.py hands to scipy, and as tables that `rung fit` reads."""

import csv
import itertools
import os
from dataclasses import dataclass, field

import numpy as np

from rival_law_models import chinchilla, line, rectified, routing, square_root, steps, vocabulary


@dataclass
class Fit:
    """One fit: x and y as the model reads them, and how `rung fit` reads the same rows."""
    x: np.ndarray
    y: np.ndarray
    model: object
    delta: float
    starts: np.ndarray
    law: str = ""
    columns: dict = field(default_factory=dict)  # the table in natural units, the target last
    options: tuple = ()


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def columns(rows, *names):
    return [np.array([float(row[name]) for row in rows]) for name in names]


def grid(*axes):
    return np.array(list(itertools.product(*axes)), dtype=float)


HOFFMANN = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])
HOFFMANN_GRID = grid(np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5), np.arange(0, 2.5, 0.5),
                     np.arange(0, 2.5, 0.5))
LEAST_SQUARES = 1e9  # a threshold beyond every residual


def size_and_data(N, D, L):
    return [Fit(np.log([N, D]), np.log(L), chinchilla, 1e-3, HOFFMANN_GRID, "chinchilla", {"N": N, "D": D, "L": L})]


def epoch(data):
    N, C, L = columns(read(f"{data}/chinchilla-epoch/points.csv"), "Model Size", "Training FLOP", "loss")
    keep = L < 3.44
    return size_and_data(N[keep], C[keep] / (6 * N[keep]), L[keep])


def kyo(data):
    return size_and_data(*columns(read(f"{data}/chinchilla-kyo/df.csv"), "N", "D", "loss"))


def olmo(data):
    rows = [row for row in read(f"{data}/olmo-ladder/ladder_c4_loss_derived.csv") if row["split"] == "train"]
    return size_and_data(*columns(rows, "N", "D", "c4_loss_last5avg"))


def vocab_a3(data):
    """As the authors' script fits it: V / 1000 goes into f(V)."""
    V, d, H, Nnv, F, L = columns(read(f"{data}/vocab/exp_data.csv"), "vocab_size", "embed_dim", "num_characters",
                                 "Non_vocab_parameters", "FLOPs", "Lossu")
    keep = F >= 2.18e17
    V, d, H, Nnv, L = V[keep], d[keep], H[keep], Nnv[keep], L[keep]
    v = np.log(V / 1e3)
    D = H * (0.00639222 * v * v - 0.15811069 * v + 1.20470122)
    starts = grid(np.linspace(3, 7, 3), np.log([1, 5, 20]), np.log([0.1, 1]), np.log([1, 3, 10]), [0.3, 0.5, 0.8],
                  [0.3, 0.5, 0.8])
    return [Fit(np.log([Nnv / 1e6, V * d / 1e6, D / 1e9]), L, vocabulary, 1e-3, starts, "vocabulary-3.L_u",
                {"Nnv": Nnv, "Nv": V * d, "D": D, "L_u": L})]


def rectified_all(data):
    starts = grid([2.0, 6.0], [2.0, 6.0], [0.2, 0.6], [-3.0, 0.0])
    fits = []
    for name in ("flan", "gigaword", "wmt19"):
        for row in read(f"{data}/rectified/{name}.csv"):
            D = np.array(sorted(float(key) for key in row if key.isdigit() and key != "0" and row[key]))
            L = np.array([float(row[str(int(size))]) for size in D])
            fits.append(Fit(np.log([D]), np.log(L), rectified, LEAST_SQUARES, starts, "rectified", {"D": D, "L": L},
                            ("--objective", "least-squares")))
    return fits


def routing_final(_):
    """The 61 S-Base and dense runs that the tests ship."""
    tests = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "law", "data")
    N, E, L = columns(read(f"{tests}/routing/sbase_dense.csv"), "N", "E", "L")
    starts = grid([-0.1], [-0.1], [0.0, 0.01], [1.1], np.log([1.5, 3.0]), np.log([64.0, 300.0, 2000.0]))
    return [Fit(np.array([np.log10(N), E]), np.log(L), routing, LEAST_SQUARES, starts, "routing",
                {"N": N, "E": E, "L": L})]


def vocab_a1(data):
    F, Nnv, Nv, H = columns(read(f"{data}/vocab/approach1_selected_points_derived.csv"), "flops", "Nnv_opt", "Nv_opt",
                            "H_opt")
    free = grid(np.linspace(-20, 15, 20), np.linspace(0, 1, 20))
    fixed = grid(np.linspace(-20, 15, 20))
    return [Fit(np.log([F]), np.log(Nnv), square_root, 1e-3, fixed, "vocabulary-1.Nnv", {"F": F, "Nnv": Nnv}),
            Fit(np.log([F]), np.log(Nv), line, 1e-3, free, "vocabulary-1.Nv", {"F": F, "Nv": Nv}),
            Fit(np.log([F]), np.log(H), square_root, 1e-3, fixed, "vocabulary-1.H", {"F": F, "H": H})]


def critical_batch(data):
    """The curve of each model; `rung fit --law critical-batch` fits them and their power law in one call."""
    rows = read(f"{data}/critical-batch/cbs_steps_derived.csv")
    starts = grid(np.log([100, 1000, 10000]), np.log([1e5, 1e6, 1e7]))
    fits = []
    for model in sorted({row["model"] for row in rows}):
        B, S = columns([row for row in rows if row["model"] == model], "batch_size", "steps_to_goal")
        fits.append(Fit(np.array([B]), np.log(S), steps, LEAST_SQUARES, starts))
    size, B, S = columns(rows, "model_size_M", "batch_size", "steps_to_goal")
    fits[0].law, fits[0].columns = "critical-batch", {"x": size, "B": B, "steps": S}
    return fits


CASES = {"epoch": epoch, "kyo": kyo, "olmo": olmo, "vocab-a3": vocab_a3, "vocab-a1": vocab_a1,
         "rectified": rectified_all, "routing": routing_final, "critical-batch": critical_batch}


def write_tables(fits, folder):
    """The rows of every fit as CSV, and one line `FILE LAW OPTIONS` each in a manifest; fits of one law go into one
    table, grouped by a column `fit`."""
    os.makedirs(folder, exist_ok=True)
    fits = [fit for fit in fits if fit.law]
    grouped = len(fits) > 1 and len({fit.law for fit in fits}) == 1
    with open(f"{folder}/manifest", "w", encoding="utf-8") as manifest:
        for file, members in [("all", fits)] if grouped else [(i, [fit]) for i, fit in enumerate(fits)]:
            with open(f"{folder}/{file}.csv", "w", newline="", encoding="utf-8") as table:
                writer = csv.writer(table)
                writer.writerow((["fit"] if grouped else []) + list(members[0].columns))
                for number, fit in enumerate(members):
                    for row in zip(*([repr(float(v)) for v in column] for column in fit.columns.values())):
                        writer.writerow(([number] if grouped else []) + list(row))
            options = members[0].options + (("--by", "fit") if grouped else ())
            manifest.write(" ".join((f"{folder}/{file}.csv", members[0].law) + options) + "\n")
