"""Golden factors for tests/scaling/unit_scaling_test.cpp, to the last digit.

Usage: python3 make_unit_scaling_golden.py OUT.json, with the packages torch and unit-scaling (0.3.5, graphcore-research).
Each op of unit_scaling.functional runs on zeros while its calls of scale_fwd and scale_bwd are recorded; constraints, which
tie forward and backward factors together, are off there, and have rows of their own."""

import json
import sys

import torch
import unit_scaling as uu
import unit_scaling.core.functional as core
import unit_scaling.functional as U
from unit_scaling.constraints import apply_constraint
from unit_scaling.optim import lr_scale_func_adam

forward, backward = [], []


def note(log):
    def scale(tensor, factor):
        log.append(float(factor))
        return tensor
    return scale


U.scale_fwd = core.scale_fwd = note(forward)
U.scale_bwd = core.scale_bwd = note(backward)
zeros = torch.zeros


def record(function, *arguments, **options):
    forward.clear(), backward.clear()
    function(*arguments, **options)
    return {"forward": list(forward), "backward": list(backward)}


def rate(kind, shape, depth):
    parameter = uu.Parameter(zeros(shape), mup_type=kind, mup_scaling_depth=depth)
    return {"kind": kind, "shape": list(shape), "depth": depth or 0, "adam": lr_scale_func_adam(parameter)}


golden = {name: [{"m": m, **record(getattr(U, name), zeros(2), mult=m, constraint=None)} for m in (0.25, 0.5, 1.0, 2.0, 4.0)]
          for name in ("gelu", "silu")}
golden["silu_glu"] = [{"m": m, **record(U.silu_glu, zeros(2), zeros(2), mult=m)} for m in (0.25, 0.5, 1.0, 2.0, 4.0)]
golden["softmax"] = [{"m": m, "n": n, **record(U.softmax, zeros(n), 0, mult=m, constraint=None)}
                     for m in (0.5, 1.0, 3.0) for n in (2, 64, 1000)]
golden["attention"] = [
    {"m": m, "d": d, "sequence": s, "causal": causal, "dropout": p,
     **record(U.scaled_dot_product_attention, *(zeros(1, s, d),) * 3, is_causal=causal, mult=m, dropout_p=p)}
    for m in (0.5, 1.0, 4.0) for d, s in ((16, 32), (64, 256), (128, 1024)) for causal in (True, False) for p in (0.0, 0.1)]
golden["cross_entropy"] = [{"vocabulary": v, **record(U.cross_entropy, zeros(3, v), zeros(3, dtype=torch.long), reduction="sum")}
                           for v in (2, 256, 50304)]
golden["linear"] = [{"in": i, "out": o, "rows": r, **record(U.linear, zeros(r, i), zeros(o, i), None, constraint=None)}
                    for i, o, r in ((64, 192, 4096), (192, 64, 100), (7, 3, 5))]
golden["rms_norm"] = [{"width": w, "rows": r, **record(U.rms_norm, zeros(r, w), (w,), zeros(w))} for w, r in ((64, 4096), (7, 5))]
golden["readout"] = [{"in": i, "out": o, "rows": r, **record(U.linear_readout, zeros(r, i), zeros(o, i), None)}
                     for i, o, r in ((64, 256, 4096), (7, 3, 5))]
golden["matmul"] = [{"left": l, "inner": i, "right": r, **record(U.matmul, zeros(l, i), zeros(i, r), constraint=None)}
                    for l, i, r in ((16, 64, 32), (5, 7, 3))]
golden["conv1d"] = [
    {"in": i, "out": o, "kernel": k, "groups": g, "stride": s, "sequence": t, "batch": b,
     **record(U.conv1d, zeros(b, i, t), zeros(o, i // g, k), None, s, k // 2, 1, g, constraint=None)}
    for i, o, k, g, s, t, b in ((8, 16, 3, 1, 1, 32, 4), (12, 12, 4, 12, 1, 20, 2), (12, 24, 5, 3, 2, 33, 3))]
golden["embedding"] = [{"vocabulary": v, "tokens": t, **record(U.embedding, zeros(t, dtype=torch.long), zeros(v, 4))}
                       for v, t in ((256, 2048), (50304, 100))]
golden["layer_norm"] = [{"width": w, "rows": r, **record(U.layer_norm, zeros(r, w), (w,), zeros(w), zeros(w))}
                        for w, r in ((64, 4096), (7, 5))]
golden["add_broadcast"] = [{"copies": c, **record(U.add, zeros(c, 3), zeros(1, 3), constraint=None)} for c in (2, 9)]
golden["constraints"] = [{"name": name, "scales": list(scales), "constrained": list(apply_constraint(name, *scales))}
                         for names, scales in ((("gmean", "hmean", "amean", "to_output_scale", "to_grad_input_scale"), (0.125, 0.07)),
                                               (("gmean", "hmean", "amean", "to_output_scale", "to_left_grad_scale",
                                                 "to_right_grad_scale"), (0.5, 2.0, 3.5)))
                         for name in names]
golden["linear_constrained"] = [
    {"in": i, "out": o, "constraint": name, **record(U.linear, zeros(10, i), zeros(o, i), None, constraint=name)}
    for i, o in ((64, 192), (192, 64)) for name in ("gmean", "hmean", "amean", "to_output_scale", "to_grad_input_scale")]
golden["gelu_constrained"] = [{"m": m, "constraint": name, **record(U.gelu, zeros(2), mult=m, constraint=name)}
                              for m in (0.5, 1.0) for name in ("gmean", "to_output_scale", "to_grad_input_scale")]
golden["dropout"] = [{"p": p, **record(U.dropout, zeros(2), p)} for p in (0.1, 0.5)]
golden["add"] = record(U.add, zeros(2), zeros(2), constraint=None)
golden["mse_loss"] = record(U.mse_loss, zeros(2), zeros(2), reduction="sum")
golden["taus"] = [{"layers": n, "mult": m, "ratio": r, "tau": [uu.transformer_residual_scaling_rule(m, r)(i, n) for i in range(n)]}
                  for n in (2, 8, 64) for m, r in ((1.0, 1.0), (0.5, 2.0), (2.0, 0.25))]
golden["rates"] = [rate("weight", (192, 64), 8), rate("weight", (1000, 64), None), rate("output", (1000, 64), None),
                   rate("norm", (64,), 8), rate("bias", (192,), 8)]

with open(sys.argv[1], "w") as file:
    json.dump(golden, file, indent=0)
