"""Scipy fits of the stored tables: what `rung fit` is measured against (bench/laws.sh).

    python3 bench/rival_laws.py CASE --data FOLDER [--way published|careful] [--bootstrap 1000]
                                 [--sample 1.0]

Prints one JSON line: {"case", "way", "rows", "fits", "objective", "optimum_seconds", "bootstrap_seconds", ...}.
Two ways of fitting (scipy's solvers are serial):

  published   what the authors' scripts do: every start of their grid with finite differences (epoch, vocab-a3), then
              one BFGS per resample from the published values (epoch: 4,000). --sample s runs that share of the starts,
              evenly spread, and of the resamples, and scales the seconds up ("scaled_up").
  careful     what a careful user would write: analytic gradients, vectorised residuals, 64 starts, one warm-started
              L-BFGS-B per resample (--sample: a share of the resamples, scaled up).

Seconds are processor time (other work on the machine does not count) without imports and reading; `rung fit`, timed
as a whole process, includes them."""

import argparse
import csv
import itertools
import json
import os
import time
from dataclasses import dataclass, field

import numpy as np

try:  # the tables alone (--tables) need none
    from scipy.optimize import minimize
except ImportError:
    minimize = None


# ---- objective: sum of Huber's penalty over residuals of a model that gives (prediction, Jacobian) ------------------

def huber(residual, delta):
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * residual * residual, delta * (size - 0.5 * delta))


def objective(theta, model, x, y, delta, weight=1.0):
    return float(np.sum(weight * huber(model(theta, x)[0] - y, delta)))


def with_gradient(theta, model, x, y, delta, weight=1.0):
    prediction, jacobian = model(theta, x)
    residual = prediction - y
    value = float(np.sum(weight * huber(residual, delta)))
    slope = weight * np.clip(residual, -delta, delta)
    return value, jacobian.T @ slope


# ---- models: theta, columns -> prediction [n], Jacobian [n, k] ------------------------------------------------------

def chinchilla(theta, x):
    """ln L = logsumexp(a - alpha ln N, b - beta ln D, e); theta = a, b, e, alpha, beta."""
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * x[0], b - beta * x[1], np.full_like(x[0], e)])
    top = terms.max(0)
    weights = np.exp(terms - top)
    total = weights.sum(0)
    weights /= total
    jacobian = np.stack([weights[0], weights[1], weights[2], -x[0] * weights[0], -x[1] * weights[1]], 1)
    return top + np.log(total), jacobian


def vocabulary(theta, x):
    """L_u = -E + A1/Nnv^a1 + A2/Nv^a2 + B/D^a1; theta = E, ln A1, ln A2, ln B, a1, a2."""
    E, A1, A2, B, a1, a2 = theta
    t1, t2, t3 = np.exp(A1 - a1 * x[0]), np.exp(A2 - a2 * x[1]), np.exp(B - a1 * x[2])
    jacobian = np.stack([-np.ones_like(t1), t1, t2, t3, -x[0] * t1 - x[2] * t3, -x[1] * t2], 1)
    return -E + t1 + t2 + t3, jacobian


def rectified(theta, x):
    """ln L of L = B/(D_l + D^beta) + E; theta = ln B, ln D_l, beta, ln E."""
    B, Dl, beta, E = theta
    power = np.exp(beta * x[0])
    below = np.exp(Dl) + power
    term, E = np.exp(B) / below, np.exp(E)
    loss = term + E
    jacobian = np.stack([term, -term * np.exp(Dl) / below, -term * power * x[0] / below, np.full_like(loss, E)], 1)
    return np.log(loss), jacobian / loss[:, None]


def routing(theta, x):
    """ln L of log10 L = a n + b h + c n h + d, n = log10 N, h = log10 Eh; theta = a, b, c, d, ln E_start, ln E_max."""
    a, b, c, d, start, most = theta[0], theta[1], theta[2], theta[3], np.exp(theta[4]), np.exp(theta[5])
    gap = 1.0 / start - 1.0 / most
    inner = x[1] - 1.0 + 1.0 / gap
    inverse = 1.0 / inner + 1.0 / most
    h = -np.log10(inverse)
    slope = (b + c * x[0]) / np.log(10.0) / inverse  # of the prediction in -inverse
    pull = 1.0 / (inner * gap) ** 2
    jacobian = np.stack([x[0], h, x[0] * h, np.ones_like(h), slope * pull / start, slope * (1.0 - pull) / most], 1)
    return np.log(10.0) * (a * x[0] + b * h + c * x[0] * h + d), np.log(10.0) * jacobian


def line(theta, x):
    """y = K + p x: a power law in logs."""
    return theta[0] + theta[1] * x[0], np.stack([np.ones_like(x[0]), x[0]], 1)


def square_root(theta, x):
    """y = K + x / 2."""
    return theta[0] + 0.5 * x[0], np.ones((len(x[0]), 1))


def steps(theta, x):
    """ln steps = ln(a + b/B); theta = ln a, ln b."""
    a, b = np.exp(theta[0]), np.exp(theta[1]) / x[0]
    return np.log(a + b), np.stack([a / (a + b), b / (a + b)], 1)


# ---- cases ----------------------------------------------------------------------------------------------------------

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


# ---- the two ways of fitting -----------------------------------------------------------------------------------------

def spread(count, share):
    wanted = max(1, round(share * count))
    return np.unique(np.linspace(0, count - 1, wanted).astype(int))


def published(fits, bootstrap, sample, anchor):
    """Every start with finite differences; resamples by BFGS from the published values."""
    best, optimum_seconds, bootstrap_seconds, starts_run = 0.0, 0.0, 0.0, 0
    for fit in fits:
        used, drawn = spread(len(fit.starts), sample), spread(bootstrap, sample) if bootstrap else []
        begin = time.process_time()
        found = [minimize(objective, fit.starts[i], args=(fit.model, fit.x, fit.y, fit.delta), method="L-BFGS-B")
                 for i in used]
        optimum_seconds += (time.process_time() - begin) * len(fit.starts) / len(used)
        least = min((one for one in found if np.isfinite(one.fun)), key=lambda one: one.fun)
        best, starts_run = best + least.fun, starts_run + len(used)
        begin = time.process_time()
        random = np.random.default_rng(42)
        for _ in drawn:
            rows = random.integers(0, len(fit.y), len(fit.y))
            minimize(objective, least.x if anchor is None else anchor,
                     args=(fit.model, fit.x[:, rows], fit.y[rows], fit.delta), method="BFGS")
        if len(drawn):
            bootstrap_seconds += (time.process_time() - begin) * bootstrap / len(drawn)
    return best, optimum_seconds, bootstrap_seconds, starts_run


def careful(fits, bootstrap, sample):
    """Up to 64 starts with analytic gradients; resamples as multiplicities, warm-started from the optimum."""
    drawn = spread(bootstrap, sample) if bootstrap else []
    best, optimum_seconds, bootstrap_seconds, starts_run = 0.0, 0.0, 0.0, 0
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-14, "gtol": 1e-10}
    for fit in fits:
        used = spread(len(fit.starts), min(1.0, 64 / len(fit.starts)))
        begin = time.process_time()
        found = [minimize(with_gradient, fit.starts[i], args=(fit.model, fit.x, fit.y, fit.delta), jac=True,
                          method="L-BFGS-B", options=options) for i in used]
        least = min((one for one in found if np.isfinite(one.fun)), key=lambda one: one.fun)
        optimum_seconds += time.process_time() - begin
        best, starts_run = best + least.fun, starts_run + len(used)
        begin = time.process_time()
        random = np.random.default_rng(42)
        for _ in drawn:
            weight = np.bincount(random.integers(0, len(fit.y), len(fit.y)), minlength=len(fit.y))
            minimize(with_gradient, least.x, args=(fit.model, fit.x, fit.y, fit.delta, weight), jac=True,
                     method="L-BFGS-B")
        if len(drawn):
            bootstrap_seconds += (time.process_time() - begin) * bootstrap / len(drawn)
    return best, optimum_seconds, bootstrap_seconds, starts_run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--way", choices=("published", "careful"), default="careful")
    parser.add_argument("--data", default=os.environ.get("RUNG_LAW_DATA", "../shared/data/laws"))
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--sample", type=float, default=1.0)
    parser.add_argument("--tables", help="write the rows for `rung fit` into this folder and fit nothing")
    arguments = parser.parse_args()
    fits = CASES[arguments.case](arguments.data)
    if arguments.tables:
        write_tables(fits, arguments.tables)
        return
    if minimize is None:
        raise SystemExit("[rival_laws] The rival is scipy. Received no such module. Install it, or give --tables.")
    np.seterr(all="ignore")  # some published starts overflow
    if arguments.way == "published":
        result = published(fits, arguments.bootstrap, arguments.sample, HOFFMANN if arguments.case == "epoch" else None)
    else:
        result = careful(fits, arguments.bootstrap, arguments.sample)
    best, optimum_seconds, bootstrap_seconds, starts_run = result
    print(json.dumps({"case": arguments.case, "way": arguments.way, "rows": sum(len(fit.y) for fit in fits),
                      "fits": len(fits), "objective": best, "optimum_seconds": round(optimum_seconds, 3),
                      "bootstrap_seconds": round(bootstrap_seconds, 3), "bootstrap": arguments.bootstrap,
                      "starts": sum(len(fit.starts) for fit in fits), "starts_run": starts_run,
                      "scaled_up": arguments.sample < 1.0}))


if __name__ == "__main__":
    main()
