"""rung.fit: options, refusals, errors, threads."""

from __future__ import annotations

import pathlib
import threading
import time
from typing import Any

import numpy as np
import pytest

import rung
from conftest import EPOCH, EPOCH_FILTER, GOLDEN


def test_golden(epoch_fit: rung.Fit) -> None:
    assert epoch_fit.objective <= GOLDEN * (1 + 1e-6)
    assert epoch_fit.coefficients["alpha"] == pytest.approx(0.347311, abs=2e-5)
    assert epoch_fit.coefficients["beta"] == pytest.approx(0.367172, abs=2e-5)
    assert list(epoch_fit.coefficients) == ["E", "A", "B", "alpha", "beta"]
    assert (epoch_fit.points, epoch_fit.law, epoch_fit.target, epoch_fit.objective_name) == (
        240,
        "chinchilla",
        "L",
        "huber-log",
    )
    for name, ends in epoch_fit.intervals.items():
        assert ends.lo < epoch_fit.coefficients[name] < ends.hi
        assert 0 < epoch_fit.standard_errors[name] < ends.hi - ends.lo


def test_options(epoch_columns: dict[str, np.ndarray]) -> None:
    tied = rung.fit(epoch_columns, tie={"alpha": "beta"}, bootstrap=20)
    assert tied.coefficients["alpha"] == tied.coefficients["beta"]
    held = rung.fit(epoch_columns, fix={"E": 1.7}, bound={"alpha": (None, 0.2)}, bootstrap=0)
    assert held.coefficients["E"] == 1.7 and held.intervals["E"] == (1.7, 1.7)
    assert held.coefficients["alpha"] == pytest.approx(0.2, abs=1e-9)
    assert "at-bound" in {d.code for d in held.diagnostics}
    below = rung.fit(epoch_columns, bound={"A": (None, 200)}, bootstrap=0)
    assert below.coefficients["A"] == pytest.approx(200)
    believed = rung.fit(epoch_columns, objective="least-squares", prior={"alpha": (0.5, 1e-6)}, bootstrap=0)
    assert believed.coefficients["alpha"] == pytest.approx(0.5, abs=1e-3)
    assert believed.checklist["form"]["priors"] == {"alpha": {"mean": 0.5, "sd": 1e-6}}
    median = rung.fit(epoch_columns, objective="quantile", tau=0.9, bootstrap=0, seed=3, level=0.5)
    assert median.objective_name == "quantile" and median.level == 0.5
    assert median.checklist["fitting"]["tau"] == 0.9 and median.checklist["fitting"]["seed"] == 3


def test_weights_sd_and_clusters_by_name_or_value(epoch_columns: dict[str, np.ndarray]) -> None:
    kept = (epoch_columns["L"] < 3.44).astype(float)
    by_value = rung.fit(epoch_columns, weights=kept, bootstrap=0)
    by_name = rung.fit({**epoch_columns, "w": kept}, weights="w", bootstrap=0)
    assert by_value.objective == by_name.objective == pytest.approx(GOLDEN, rel=1e-6)
    clusters = rung.fit(epoch_columns, cluster=[f"run {i // 5}" for i in range(245)], bootstrap=20)
    assert clusters.checklist["fitting"]["interval"] == "cluster bootstrap"
    sd = rung.fit(epoch_columns, sd=np.full(245, 0.01), objective="least-squares", bootstrap=0)
    assert sd.checklist["data"]["weights"] == "1/sd^2 from sd"


def test_profiles_and_samples(epoch_columns: dict[str, np.ndarray]) -> None:
    fit = rung.fit(epoch_columns, where="L < 3.44", bootstrap=50, profile=True)
    profile = fit.profiles["alpha"]
    assert profile.lo < fit.coefficients["alpha"] < profile.hi
    assert profile.values.shape == profile.objective.shape == profile.deviance.shape
    assert profile.objective.min() == pytest.approx(fit.objective, rel=1e-9)
    assert set(fit.samples) == set(fit.coefficients)
    assert fit.samples["alpha"].shape == (50,)
    assert fit.samples["alpha"].std(ddof=1) == pytest.approx(fit.standard_errors["alpha"], rel=1e-12)


def test_several_laws_are_weighed(epoch_columns: dict[str, np.ndarray]) -> None:
    fit = rung.fit(epoch_columns, law=["chinchilla", "kaplan"], where="L < 3.44", bootstrap=30, fix={"E": 1.8})
    assert [form.law for form in fit.forms] == ["chinchilla", "kaplan"]
    assert sum(form.weight for form in fit.forms) == pytest.approx(1)
    assert fit.forms[0].fit.coefficients["E"] == 1.8 and "E" not in fit.forms[1].fit.coefficients
    prediction = fit.predict(N=7e10, D=1.4e12)
    assert set(prediction.sources) == {"coefficients", "noise", "form", "rollout"}
    assert rung.fit(epoch_columns, law="chinchilla,kaplan", where="L < 3.44", bootstrap=0).forms[1].law == "kaplan"


def test_procedures_have_parts() -> None:
    rng = np.random.default_rng(1)
    budgets, around = 10.0 ** np.linspace(18, 21, 5), np.geomspace(0.3, 3, 9)
    C = np.repeat(budgets, 9)
    N = np.concatenate([0.1 * c**0.5 * around for c in budgets])
    L = 1.7 + 400 / N**0.34 + 1500 / (C / (6 * N)) ** 0.34
    fit = rung.fit({"N": N, "C": C, "L": L * np.exp(1e-4 * rng.normal(size=45))}, law="isoflop", bootstrap=50)
    assert not fit.refused and set(fit.parts) >= {"D_opt"}
    assert fit.derivation["rows"] == 45
    assert fit.predict(C=1e22).quantities["D_opt"].loss > 0
    assert fit.plan(flops=1e22).D == pytest.approx(1e22 / 6 / fit.plan(flops=1e22).N)


DEFINITION: dict[str, Any] = {
    "name": "mine",
    "formula": "L = E + A/N^alpha + B/D^beta",
    "inputs": {"N": "parameters", "D": "tokens"},
    "coefficients": {
        "E": {"lo": 0},
        "A": {"scale": "log"},
        "B": {"scale": "log"},
        "alpha": {"lo": 0.005, "hi": 3, "grid": [0.05, 0.95, 32]},
        "beta": {"lo": 0.005, "hi": 3, "grid": [0.05, 0.95, 32]},
    },
}


def test_own_laws(epoch_columns: dict[str, np.ndarray], tmp_path: pathlib.Path) -> None:
    fit = rung.fit(epoch_columns, law=DEFINITION, where="L < 3.44", bootstrap=0)
    assert fit.law == "mine" and fit.objective == pytest.approx(GOLDEN, rel=1e-6)
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nformula = "L = E + A/N^alpha"\n[inputs]\nN = "parameters"\n[coefficients]\n'
        'E = { lo = 0 }\nA = { scale = "log" }\nalpha = { lo = 0.005, hi = 3, grid = [0.05, 0.95, 32] }\n'
    )
    assert rung.fit(epoch_columns, law=file, bootstrap=0).formula == "L = E + A/N^alpha"
    with pytest.raises(rung.UsageError, match="no such coefficient"):
        rung.fit(epoch_columns, law={**DEFINITION, "coefficients": {"F": {}}})


def test_refusals_are_fits_with_reasons(line: dict[str, np.ndarray], tmp_path: pathlib.Path) -> None:
    fit = rung.fit(line)
    assert fit.refused and fit.coefficients == {} and np.isnan(fit.objective)
    refusals = [d for d in fit.diagnostics if d.severity == "refusal"]
    assert "collinear" in {d.code for d in refusals} and all(d.text for d in refusals)
    assert "refused" in repr(fit)
    with pytest.raises(rung.Refused, match="collinear"):
        fit.predict(N=1e10, D=1e12)
    with pytest.raises(rung.Refused, match="collinear"):
        fit.plan(flops=1e21)
    fit.save(tmp_path / "refused.json")
    assert rung.load(tmp_path / "refused.json").refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "chinchila"}, "nearest is chinchilla"),
        ({"law": []}, "empty list"),
        ({"law": 3}, "Received int"),
        ({"columns": {"L": "los"}}, "nearest is loss"),
        ({"fix": {"alpah": 0.3}}, "nearest is alpha"),
        ({"fix": {"alpha": "x"}}, "fix of alpha is a number"),
        ({"fix": 3}, "maps names to numbers"),
        ({"bound": {"alpha": 0.3}}, "pair of numbers"),
        ({"bound": {"alpha": (0.5, 0.3)}}, "reversed"),
        ({"tie": {"alpha": "A"}}, "one kind"),
        ({"prior": {"alpha": (0.3, 0.0)}}, "sd must be positive"),
        ({"where": "loss <"}, "loss <"),
        ({"where": [True, False]}, "expression"),
        ({"objective": "huber-lgo"}, "huber-log"),
        ({"delta": 0}, "delta must be positive"),
        ({"level": 1.5}, "between 0 and 1"),
        ({"bootstrap": -1}, "bootstrap is a whole number"),
        ({"bootstrap": 2.5}, "bootstrap is a whole number"),
        ({"seed": -1}, "seed is a whole number"),
        ({"threads": 0}, "threads is a whole number"),
        ({"weights": [1.0, 2.0]}, "equally long"),
        ({"weights": "w"}, "no such column"),
        ({"order": "N"}, "several laws"),
        ({"settings": {"overhead": 0.2}}, "."),
    ],
)
def test_usage(options: dict[str, Any], message: str) -> None:
    kind = rung.Error if message == "equally long" else rung.UsageError
    if "settings" in options:
        options["law"] = "isoflop"
    with pytest.raises(kind, match=message):
        rung.fit(EPOCH, **options)


def test_threads_do_not_change_results(epoch_columns: dict[str, np.ndarray]) -> None:
    fits = [rung.fit(epoch_columns, bootstrap=64, seed=7, threads=threads).to_dict() for threads in (1, 3)]
    for fit in fits:
        fit.pop("seconds")
    assert fits[0] == fits[1]


def test_other_threads_run_meanwhile() -> None:
    """A fit of over half a second lets a thread that only counts go on all the time."""
    counts: list[float] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            counts.append(time.monotonic())
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    begin = time.monotonic()
    rung.fit(EPOCH, where=EPOCH_FILTER, bootstrap=4000, threads=1)
    end = time.monotonic()
    done.set()
    counter.join()
    during = [moment for moment in counts if begin <= moment <= end]
    # Held, the lock would let the counter in before and after only.
    gap = max(np.diff([begin, *during, end]))
    assert gap < 0.5 * (end - begin)


def test_fits_side_by_side(epoch_columns: dict[str, np.ndarray]) -> None:
    results: list[float] = []
    threads = [
        threading.Thread(target=lambda: results.append(rung.fit(epoch_columns, bootstrap=20).objective))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and len(set(results)) == 1
