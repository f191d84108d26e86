"""Scipy fits of the stored tables: what `rung fit` is measured against (bench/laws.sh).

    python3 bench/rival_laws.py CASE --data FOLDER [--way published|careful] [--bootstrap 1000]
                                 [--sample 1.0]

Prints one JSON line: {"case", "way", "rows", "fits", "objective", "optimum_seconds", "bootstrap_seconds", ...}.
Two ways of fitting (scipy's solvers are serial):

  published   what the authors' scripts do: every start of their grid with finite differences (epoch, vocab-a3), then
              one BFGS per resample from the published values (epoch: 4,000). --sample s runs that share of the starts
              and resamples, evenly spread, and scales the seconds up ("scaled_up").
  careful     what a careful user would write: analytic gradients, vectorised residuals, 64 starts, one warm-started
              L-BFGS-B per resample.

Both clocks leave out imports and reading; `rung fit`, timed as a whole process, includes them."""

import argparse
import csv
import gzip
import itertools
import json
import os
import time

import numpy as np
from scipy.optimize import minimize


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
    """log10 L = a n + b h + c n h + d, n = log10 N, h = log10 Eh saturating; theta = a, b, c, d, ln E_start, ln E_max."""
    a, b, c, d, start, most = theta[0], theta[1], theta[2], theta[3], np.exp(theta[4]), np.exp(theta[5])
    gap = 1.0 / start - 1.0 / most
    inner = x[1] - 1.0 + 1.0 / gap
    inverse = 1.0 / inner + 1.0 / most
    h = -np.log10(inverse)
    slope = (b + c * x[0]) / np.log(10.0) / inverse  # of the prediction in -inverse
    pull = 1.0 / (inner * gap) ** 2
    jacobian = np.stack([x[0], h, x[0] * h, np.ones_like(h), slope * pull / start, slope * (1.0 - pull) / most], 1)
    return a * x[0] + b * h + c * x[0] * h + d, jacobian


def line(theta, x):
    """y = K + p x: a power law in logs."""
    return theta[0] + theta[1] * x[0], np.stack([np.ones_like(x[0]), x[0]], 1)


def steps(theta, x):
    """ln steps = ln(a + b/B); theta = ln a, ln b."""
    a, b = np.exp(theta[0]), np.exp(theta[1]) / x[0]
    return np.log(a + b), np.stack([a / (a + b), b / (a + b)], 1)


# ---- cases: a list of (x, y) fits, the model, Huber's threshold, starts ---------------------------------------------

def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def columns(rows, *names):
    return [np.array([float(row[name]) for row in rows]) for name in names]


def grid(*axes):
    return np.array(list(itertools.product(*axes)))


HOFFMANN = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])
HOFFMANN_GRID = (np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5), np.arange(0, 2.5, 0.5),
                 np.arange(0, 2.5, 0.5))
LEAST_SQUARES = 1e9  # a threshold beyond every residual


def epoch(data):
    N, C, L = columns(read(f"{data}/chinchilla-epoch/points.csv"), "Model Size", "Training FLOP", "loss")
    keep = L < 3.44
    x = np.log([N[keep], C[keep] / (6 * N[keep])])
    return [(x, np.log(L[keep]))], chinchilla, 1e-3, grid(*HOFFMANN_GRID)


def kyo(data):
    N, D, L = columns(read(f"{data}/chinchilla-kyo/df.csv"), "N", "D", "loss")
    return [(np.log([N, D]), np.log(L))], chinchilla, 1e-3, grid(*HOFFMANN_GRID)


def olmo(data):
    rows = [row for row in read(f"{data}/olmo-ladder/ladder_c4_loss_derived.csv") if row["split"] == "train"]
    N, D, L = columns(rows, "N", "D", "c4_loss_last5avg")
    return [(np.log([N, D]), np.log(L))], chinchilla, 1e-3, grid(*HOFFMANN_GRID)


def vocab_a3(data):
    """As the script fits it: V / 1000 goes into f(V), millions of parameters, billions of tokens."""
    V, d, H, Nnv, F, L = columns(read(f"{data}/vocab/exp_data.csv"), "vocab_size", "embed_dim", "num_characters",
                                 "Non_vocab_parameters", "FLOPs", "Lossu")
    keep = F >= 2.18e17
    V, d, H, Nnv, L = V[keep], d[keep], H[keep], Nnv[keep], L[keep]
    v = np.log(V / 1e3)
    D = H * (0.00639222 * v * v - 0.15811069 * v + 1.20470122) / 1e9
    x = np.log([Nnv / 1e6, V * d / 1e6, D])
    starts = grid(np.linspace(3, 7, 3), np.log([1, 5, 20]), np.log([0.1, 1]), np.log([1, 3, 10]), [0.3, 0.5, 0.8],
                  [0.3, 0.5, 0.8])
    return [(x, L)], vocabulary, 1e-3, starts


def rectified_all(data):
    fits = []
    for name in ("flan", "gigaword", "wmt19"):
        for row in read(f"{data}/rectified/{name}.csv"):
            sizes = sorted(int(key) for key in row if key.isdigit() and key != "0" and row[key])
            fits.append((np.log([sizes]), np.log([float(row[str(size)]) for size in sizes])))
    return fits, rectified, LEAST_SQUARES, grid([2.0, 6.0], [2.0, 6.0], [0.2, 0.6], [-3.0, 0.0])


def routing_final(data):
    final = {}
    for row in read(f"{data}/routing/curves.csv.gz"):
        kind = row["router_type"]
        if row["loss_validation"] and (kind == "Dense" or (kind == "S-Base" and float(row["k"]) == 1
                                                            and float(row["routing_frequency"]) == 0.5)):
            if float(row["step"]) >= float(final.get(row["hyper_id"], {"step": -1})["step"]):
                final[row["hyper_id"]] = row
    N, E, L = columns(final.values(), "dense_parameter_count", "num_experts", "loss_validation")
    starts = grid([-0.1], [-0.1], [0.0, 0.01], [1.1], np.log([1.5, 3.0]), np.log([64.0, 300.0, 2000.0]))
    return [(np.array([np.log10(N), E]), np.log10(L))], routing, LEAST_SQUARES, starts


def vocab_a1(data):
    F, Nnv, Nv, H = columns(read(f"{data}/vocab/approach1_selected_points_derived.csv"), "flops", "Nnv_opt", "Nv_opt",
                            "H_opt")
    starts = grid(np.linspace(-20, 15, 20), np.linspace(0, 1, 20))
    return [(np.log([F]), np.log(y)) for y in (Nnv, Nv, H)], line, 1e-3, starts


def critical_batch(data):
    rows = read(f"{data}/critical-batch/cbs_steps_derived.csv")
    fits = []
    for model in sorted({row["model"] for row in rows}):
        B, S = columns([row for row in rows if row["model"] == model], "batch_size", "steps_to_goal")
        fits.append((np.array([B]), np.log(S)))
    return fits, steps, LEAST_SQUARES, grid(np.log([100, 1000, 10000]), np.log([1e5, 1e6, 1e7]))


CASES = {"epoch": epoch, "kyo": kyo, "olmo": olmo, "vocab-a3": vocab_a3, "vocab-a1": vocab_a1,
         "rectified": rectified_all, "routing": routing_final, "critical-batch": critical_batch}


# ---- the two ways of fitting -----------------------------------------------------------------------------------------

def spread(count, share):
    wanted = max(1, round(share * count))
    return np.unique(np.linspace(0, count - 1, wanted).astype(int))


def published(fits, model, delta, starts, bootstrap, sample, anchor):
    """Every start with finite differences; resamples by BFGS from the published values."""
    best, optimum_seconds, bootstrap_seconds = 0.0, 0.0, 0.0
    used, drawn = spread(len(starts), sample), spread(bootstrap, sample)
    for x, y in fits:
        begin = time.perf_counter()
        found = [minimize(objective, starts[i], args=(model, x, y, delta), method="L-BFGS-B") for i in used]
        optimum_seconds += (time.perf_counter() - begin) * len(starts) / len(used)
        least = min((fit for fit in found if np.isfinite(fit.fun)), key=lambda fit: fit.fun)
        best += least.fun
        begin = time.perf_counter()
        random = np.random.default_rng(42)
        for _ in drawn if bootstrap else []:
            rows = random.integers(0, len(y), len(y))
            minimize(objective, least.x if anchor is None else anchor, args=(model, x[:, rows], y[rows], delta),
                     method="BFGS")
        bootstrap_seconds += (time.perf_counter() - begin) * (bootstrap / len(drawn) if bootstrap else 0.0)
    return best, optimum_seconds, bootstrap_seconds, len(starts), len(used)


def careful(fits, model, delta, starts, bootstrap):
    """64 starts with analytic gradients; resamples as multiplicities, warm-started from the optimum."""
    best, optimum_seconds, bootstrap_seconds = 0.0, 0.0, 0.0
    used = spread(len(starts), min(1.0, 64 / len(starts)))
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-14, "gtol": 1e-10}
    for x, y in fits:
        begin = time.perf_counter()
        found = [minimize(with_gradient, starts[i], args=(model, x, y, delta), jac=True, method="L-BFGS-B",
                          options=options) for i in used]
        least = min((fit for fit in found if np.isfinite(fit.fun)), key=lambda fit: fit.fun)
        optimum_seconds += time.perf_counter() - begin
        best += least.fun
        begin = time.perf_counter()
        random = np.random.default_rng(42)
        for _ in range(bootstrap):
            weight = np.bincount(random.integers(0, len(y), len(y)), minlength=len(y))
            minimize(with_gradient, least.x, args=(model, x, y, delta, weight), jac=True, method="L-BFGS-B")
        bootstrap_seconds += time.perf_counter() - begin
    return best, optimum_seconds, bootstrap_seconds, len(starts), len(used)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--way", choices=("published", "careful"), default="careful")
    parser.add_argument("--data", default=os.environ.get("RUNG_LAW_DATA", "../shared/data/laws"))
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--sample", type=float, default=1.0)
    arguments = parser.parse_args()
    fits, model, delta, starts = CASES[arguments.case](arguments.data)
    np.seterr(all="ignore")  # some published starts overflow
    if arguments.way == "published":
        result = published(fits, model, delta, starts, arguments.bootstrap, arguments.sample,
                           HOFFMANN if arguments.case == "epoch" else None)
    else:
        result = careful(fits, model, delta, starts, arguments.bootstrap)
    best, optimum_seconds, bootstrap_seconds, count, used = result
    print(json.dumps({"case": arguments.case, "way": arguments.way, "rows": sum(len(y) for _, y in fits),
                      "fits": len(fits), "objective": best, "optimum_seconds": round(optimum_seconds, 3),
                      "bootstrap_seconds": round(bootstrap_seconds, 3), "bootstrap": arguments.bootstrap,
                      "starts": count, "starts_run": used,
                      "scaled_up": arguments.way == "published" and arguments.sample < 1.0}))


if __name__ == "__main__":
    main()
