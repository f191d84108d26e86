"""What a fit answers, and its files: predict, plan, save, load, report, laws."""

from __future__ import annotations

import copy
import json
import pathlib
import pickle
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

import rung
from conftest import EPOCH, EPOCH_FILTER, ROOT


def test_predict_a_point(epoch_fit: rung.Fit) -> None:
    p = epoch_fit.predict(N=7e10, D=1.4e12)
    c = epoch_fit.coefficients
    assert p.loss == pytest.approx(c["E"] + c["A"] / 7e10 ** c["alpha"] + c["B"] / 1.4e12 ** c["beta"], rel=1e-12)
    assert isinstance(p.loss, float) and p.lo < p.loss < p.hi
    assert (p.target, p.level, set(p.sources)) == ("L", 0.9, {"coefficients", "noise"})
    assert p.extrapolation["N"] == pytest.approx(7e10 / epoch_fit.ranges["N"].hi)
    assert p.outside["N"] == p.extrapolation["N"] > 1
    assert epoch_fit.predict(C=6 * 7e10 * 1.4e12, N=7e10).loss == pytest.approx(p.loss, rel=1e-12)
    narrow = epoch_fit.predict(N=7e10, D=1.4e12, level=0.5)
    assert p.lo < narrow.lo < narrow.hi < p.hi
    assert "90 %" in repr(p) and "times outside" in repr(p)


def test_predict_arrays_equal_points(epoch_fit: rung.Fit) -> None:
    N, D = np.array([1e9, 7e9, 7e10]), np.array([[2e10], [1.4e12]])
    many = epoch_fit.predict(N=N, D=D, level=0.8, threads=2)
    assert many.loss.shape == many.lo.shape == many.outside["D"].shape == (2, 3)
    for i in range(2):
        for j in range(3):
            one = epoch_fit.predict(N=N[j], D=D[i, 0], level=0.8)
            assert (many.loss[i, j], many.lo[i, j], many.hi[i, j]) == (one.loss, one.lo, one.hi)
            assert many.sources["noise"][i, j] == one.sources["noise"]
            assert many.outside["N"][i, j] == one.outside.get("N", 1.0)
    frame = pd.DataFrame({"N": N, "D": 20 * N})
    assert epoch_fit.predict(N=frame["N"], D=frame["D"]).loss.shape == (3,)
    assert epoch_fit.predict(N=[], D=[]).loss.shape == (0,)


def test_predict_a_table(epoch_fit: rung.Fit) -> None:
    rows = epoch_fit.predict(EPOCH)
    assert rows.loss.shape == (245,) and rows.misfit is not None
    assert rows.misfit.rows == 245 and rows.misfit.mae < 0.03
    assert 200 < rows.misfit.inside < 245 and abs(rows.misfit.bias) < rows.misfit.mae
    assert f"{rows.misfit.inside} of 245 measurements inside" in repr(rows)
    assert np.all(rows.lo <= rows.loss) and np.all(rows.loss <= rows.hi)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({}, "Where"),
        ({"N": 1e9}, "needs D"),
        ({"N": 1e9, "M": 3.0, "D": 1e9}, "Unknown input"),
        ({"N": -1.0, "D": 1e9}, "positive"),
        ({"N": "big", "D": 1e9}, "a number or an array"),
        ({"N": [1e9, 2e9], "D": [1e9, 2e9, 3e9]}, "unlike shapes"),
        ({"N": 1e9, "D": 1e9, "level": 2.0}, "between 0 and 1"),
    ],
)
def test_predict_usage(epoch_fit: rung.Fit, at: dict[str, object], message: str) -> None:
    with pytest.raises(rung.UsageError, match=message) as caught:
        epoch_fit.predict(**at)  # type: ignore[call-overload]
    assert isinstance(caught.value, ValueError)


def test_plan_is_the_optimum_in_closed_form(epoch_fit: rung.Fit) -> None:
    plan = epoch_fit.plan(flops=1e21)
    c = epoch_fit.coefficients
    ratio = c["alpha"] * c["A"] / (c["beta"] * c["B"])
    N = ratio ** (1 / (c["alpha"] + c["beta"])) * (1e21 / 6) ** (c["beta"] / (c["alpha"] + c["beta"]))
    assert plan.N == pytest.approx(N, rel=1e-6)
    assert 6 * plan.N * plan.D == pytest.approx(1e21, rel=1e-9)
    assert plan.loss == epoch_fit.predict(N=plan.N, D=plan.D).loss
    assert plan.intervals["N"].lo < plan.N < plan.intervals["N"].hi
    assert plan.flat["N"].lo < plan.N < plan.flat["N"].hi
    assert plan.lo < plan.loss < plan.hi and plan.limits == ["flops"]


def test_plan_limits(epoch_fit: rung.Fit) -> None:
    free = epoch_fit.plan(flops=1e21)
    served = epoch_fit.plan(flops=1e21, inference_tokens=1e12, level=0.5)
    assert served.N < free.N and served.level == 0.5
    assert served.C + 2 * served.N * 1e12 == pytest.approx(1e21)
    assert epoch_fit.plan(flops=1e21, max_params=1e9).N == pytest.approx(1e9)
    assert epoch_fit.plan(flops=1e21, memory=8e9, bytes_per_parameter=8).N == pytest.approx(1e9)
    limited = epoch_fit.plan(flops=1e21, max_tokens=1e10)
    assert limited.D == pytest.approx(1e10) and limited.limits == ["max-tokens"]
    assert "limited by max-tokens" in repr(limited)
    wide = epoch_fit.plan(flops=1e21, flat=0.01)
    assert wide.flat_within == 0.01 and wide.flat["N"].hi > free.flat["N"].lo
    with pytest.raises(rung.UsageError, match="flops must be positive"):
        epoch_fit.plan(flops=-1)
    with pytest.raises(rung.UsageError, match="flops is a number"):
        epoch_fit.plan(flops="big")  # type: ignore[arg-type]


def test_plan_by_time_and_hardware(epoch_fit: rung.Fit) -> None:
    plan = epoch_fit.plan(time="30d", hardware="h100:8", mfu=0.5)
    assert plan.seconds == pytest.approx(30 * 86400, rel=1e-6)
    by_flops = epoch_fit.plan(flops=plan.C)
    assert plan.N == pytest.approx(by_flops.N, rel=1e-4)
    own = epoch_fit.plan(time=30 * 86400, peak_flops=plan.C / (30 * 86400), mfu=1.0)
    assert own.N == pytest.approx(by_flops.N, rel=1e-4) and own.C == pytest.approx(plan.C)
    assert plan.shapes and all(shape["excess"] >= 0 for shape in plan.shapes)
    assert {"N", "D", "loss", "lo", "hi"} <= set(plan.details["basin"][0])
    for wrong in ({"hardware": "h1000"}, {"mfu": 2}, {"time": "30 moons"}, {"format": "int4"}, {"width": 0.5}, {}):
        with pytest.raises(rung.UsageError):
            epoch_fit.plan(**{"time": "30d", "hardware": "h100", **wrong} if wrong else {})


def test_plan_of_several_fits(epoch_fit: rung.Fit) -> None:
    steps = pd.read_csv(ROOT / "tests/law/data/critical-batch/cbs_steps_derived.csv")
    steps["N"] = 1e6 * steps["model_size_M"]
    batch = rung.fit(steps, law="critical-batch", columns={"x": "N"}, bootstrap=50)
    plan = epoch_fit.plan(flops=1e21, fits=[batch])
    assert plan.source.startswith("fit ") and plan.batch[0]["source"].startswith("fits[0] ")
    assert plan.batch[0]["value"] > 0 and epoch_fit.plan(flops=1e21).batch == []


def test_plan_equal_to_the_command_line(command_line: str, epoch_fit: rung.Fit, tmp_path: pathlib.Path) -> None:
    epoch_fit.save(tmp_path / "fit.json")
    options = ["--time", "10d", "--hardware", "h100:4", "--vocabulary", "32000", "--flat", "0.01", "--out", tmp_path / "plan.json"]
    subprocess.run([command_line, "plan", tmp_path / "fit.json", *options], check=True, capture_output=True)
    theirs = json.loads((tmp_path / "plan.json").read_text())
    plan = epoch_fit.plan(time="10d", hardware="h100:4", vocabulary=32000, flat=0.01)
    plan.save(tmp_path / "ours.json")
    ours = json.loads((tmp_path / "ours.json").read_text())
    for file in (theirs, ours):
        file.pop("source")
    assert ours == theirs
    plan.report(tmp_path / "plan.html")
    assert (tmp_path / "plan.html").read_text().startswith("<!doctype html>")


def test_plan_names_the_next_runs(command_line: str, epoch_fit: rung.Fit, tmp_path: pathlib.Path) -> None:
    epoch_fit.save(tmp_path / "fit.json")
    table = pd.DataFrame({"N": [1e8, 1e9, 1e10, 3e10], "D": [1e10, 2e10, 1e10, 3e10]})
    table.to_csv(tmp_path / "candidates.csv", index=False)
    options = ["--flops", "1e23", "--next", "2", "--candidates", tmp_path / "candidates.csv", "--out", tmp_path / "plan.json"]
    subprocess.run([command_line, "plan", tmp_path / "fit.json", *options], check=True, capture_output=True)
    theirs = json.loads((tmp_path / "plan.json").read_text())["design"]
    plan = epoch_fit.plan(flops=1e23, next=2, candidates=table)
    assert plan.details["design"] == theirs and plan.next == theirs["runs"] and len(plan.next) == 2
    assert {run["N"] for run in plan.next} <= set(table["N"])
    assert 0 < plan.details["design"]["deviation_left"] < 1 and "next 2: N" in repr(plan)
    # Other aims choose by themselves, within what all runs may cost.
    wide = epoch_fit.plan(flops=1e23, next=3, criterion="d", target={"N": 1e10}, next_flops=1e21, max_run_flops=5e20)
    assert wide.details["design"]["target"]["N"] == 1e10 and wide.details["design"]["criterion"] == "d"
    assert wide.details["design"]["flops"] <= 1e21 and all(run["flops"] <= 5e20 for run in wide.next)
    assert epoch_fit.plan(flops=1e23).next == []
    for wrong in ({"next": 0}, {"next": 1, "criterion": "e"}, {"target": {"N": 1e9}}, {"next": 1, "next_flops": -1.0}):
        with pytest.raises(rung.UsageError):
            epoch_fit.plan(flops=1e23, **wrong)  # type: ignore[arg-type]


def test_save_and_load(epoch_fit: rung.Fit, tmp_path: pathlib.Path) -> None:
    epoch_fit.save(tmp_path / "fit.json")
    loaded = rung.load(tmp_path / "fit.json")
    assert loaded.to_dict() == epoch_fit.to_dict() and repr(loaded) == repr(epoch_fit)
    assert repr(loaded.predict(N=7e10, D=1.4e12)) == repr(epoch_fit.predict(N=7e10, D=1.4e12))
    assert repr(loaded.plan(flops=1e21)) == repr(epoch_fit.plan(flops=1e21))
    with pytest.raises(rung.Error, match="none.json"):
        rung.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(rung.Error, match="is no fit"):
        rung.load(tmp_path / "bad.json")


def test_pickle_and_copy(epoch_fit: rung.Fit) -> None:
    for twin in (pickle.loads(pickle.dumps(epoch_fit)), copy.deepcopy(epoch_fit)):
        assert twin.to_dict() == epoch_fit.to_dict()
        assert np.array_equal(twin.samples["E"], epoch_fit.samples["E"])


def test_equal_to_the_command_line(command_line: str, tmp_path: pathlib.Path) -> None:
    """The same file, whoever fits; each reads the other's."""
    theirs, ours = tmp_path / "theirs.json", tmp_path / "ours.json"
    options = ["--where", EPOCH_FILTER, "--bootstrap", "100", "--seed", "5", "--profile"]
    subprocess.run([command_line, "fit", EPOCH, *options, "--out", theirs, "--quiet"], check=True, capture_output=True)
    fit = rung.fit(EPOCH, where=EPOCH_FILTER, bootstrap=100, seed=5, profile=True)
    fit.save(ours)
    files = [json.loads(path.read_text()) for path in (theirs, ours)]
    for file in files:
        assert file.pop("seconds") > 0
    assert files[0] == files[1]
    at = ["N=7e9", "D=1.4e12", "--json"]
    run = subprocess.run([command_line, "predict", ours, *at], check=True, capture_output=True, text=True)
    answer = json.loads(run.stdout)
    mine = rung.load(theirs).predict(N=7e9, D=1.4e12)
    assert (answer["loss"], answer["lo"], answer["hi"]) == (mine.loss, mine.lo, mine.hi)


def test_report(epoch_fit: rung.Fit, line: dict[str, np.ndarray], tmp_path: pathlib.Path) -> None:
    epoch_fit.report(tmp_path / "fit.html")
    page = (tmp_path / "fit.html").read_text()
    assert page.startswith("<!doctype html>") and "chinchilla" in page
    rung.fit(line).report(tmp_path / "refused.html")
    assert "collinear" in (tmp_path / "refused.html").read_text()


def test_laws() -> None:
    laws = rung.laws()
    assert laws["chinchilla"].formula == "L = E + A/N^alpha + B/D^beta"
    assert laws["chinchilla"].inputs == ["N", "D"] and "alpha" in laws["chinchilla"].coefficients
    assert laws["isoflop"].laws and len(laws) > 30
    assert "chinchilla" in repr(laws)
    assert list(pd.DataFrame(laws.values())["name"]) == list(laws)


def test_interrupt() -> None:
    """Ctrl-C ends a long fit as KeyboardInterrupt and the interpreter lives on."""
    script = f"""
        import rung, threading, os, signal
        data = {str(EPOCH)!r}
        rung.fit(data, bootstrap=0)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            rung.fit(data, bootstrap=300_000)
        except KeyboardInterrupt:
            print("interrupted", rung.fit(data, where="loss < 3.44", bootstrap=0).points)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "interrupted 240", run.stderr
    assert run.returncode == 0


def test_docstring_examples() -> None:
    import doctest

    from rung import _fitting, _laws

    for module in (_fitting, _laws):
        outcome = doctest.testmod(module)
        assert outcome.attempted > 0 and outcome.failed == 0


def test_types(tmp_path: pathlib.Path) -> None:
    """A user's script passes `mypy --strict`, and so does the package; a wrong one does not."""
    api = pytest.importorskip("mypy.api", reason="skipped: mypy is not installed")
    good, bad = ROOT / "python/tests/typed_script.py", tmp_path / "bad.py"
    bad.write_text("import rung\nx: str = rung.fit('runs.csv').predict(N=1e9, D=1e9).loss\n")
    cache = f"--cache-dir={tmp_path / 'cache'}"
    # A copy: mypy takes the folder of what it checks for a root, and in site-packages its own modules would clash.
    package = shutil.copytree(pathlib.Path(rung.__file__).parent, tmp_path / "rung")
    out, errors, status = api.run(["--strict", cache, str(good), *map(str, package.glob("*.py"))])
    assert status == 0, out + errors
    out, errors, status = api.run(["--strict", cache, str(bad)])
    assert status == 1 and 'has type "float"' in out, out + errors


def test_bound_decides(open_table: dict[str, np.ndarray]) -> None:
    fit = rung.fit(open_table, bootstrap=100)
    assert not fit.refused and fit.coefficients["E"] == 0.0
    assert fit.predict(N=2e8, D=4e9).loss > 1
    for ask in (
        lambda **more: fit.predict(N=2e11, D=4e12, **more),
        lambda **more: fit.predict(N=[2e8, 2e11], D=4e12, **more),
        lambda **more: fit.predict({"N": [2e8, 2e11], "D": [4e9, 4e12]}, **more),
        lambda **more: fit.plan(flops=1e24, **more),
    ):
        with pytest.raises(rung.Refused, match="bound-decides"):
            ask()
        ask(force=True)
    assert any("bound-decides" in warning for warning in fit.predict(N=2e11, D=4e12, force=True).warnings)
    assert rung.fit(open_table, fix={"E": 1.2}, bootstrap=100).predict(N=2e11, D=4e12).loss > 1.2
