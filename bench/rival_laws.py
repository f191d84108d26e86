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
import json
import os
import time

import numpy as np

from rival_law_cases import CASES, HOFFMANN, write_tables

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
