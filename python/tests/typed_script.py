"""A user's script, for mypy --strict; never run."""

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]

import rung

frame = pd.DataFrame({"N": [1e8, 2e8], "D": [1e9, 2e9], "L": [3.0, 2.9]})
fit = rung.fit(frame, law="chinchilla", columns={"L": "L"}, fix={"E": 1.8}, bound={"alpha": (None, 0.6)}, threads=2)
alpha: float = fit.coefficients["alpha"]
lo, hi = fit.intervals["alpha"]
width: float = hi - lo
codes: list[str] = [d.code for d in fit.diagnostics if d.severity == "warning"]

point = fit.predict(N=7e9, D=1.4e12)
loss: float = point.loss
many = fit.predict(N=np.array([1e9, 7e9]), D=1.4e12, level=0.5)
best: float = float(many.loss.min())
rows = fit.predict(frame)
error: float = rows.misfit.rmse if rows.misfit else float("nan")

plan = fit.plan(flops=1e21, inference_tokens=1e12)
size: float = plan.N
fit.save("fit.json")
again: rung.Fit = rung.load("fit.json")
formula: str = rung.laws()["chinchilla"].formula
try:
    again.predict(N=1e9, D=1e9)
except rung.Refused as reason:
    print(reason)
