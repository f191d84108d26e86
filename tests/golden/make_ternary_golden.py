"""Golden values for tests/ops/ternary_test.cpp and tests/model/mixers/mlgru_test.cpp, in fp64.

Usage: python3 make_ternary_golden.py OUT.json, with torch. BitLinear is written from the authors' notes on training BitNet
b1.58 (Ma et al. 2024, arXiv 2402.17764), MLGRU from Zhu et al. 2024 (arXiv 2406.02528) with the output gate of the
authors' code, step by step; gradients by autograd, with roundings straight through. Inputs and weights are sines, which
the tests compute too. No scaled value may lie within 1e-4 of a half, so that codes in fp32 are these. Where transformers
is installed, its activation and weight quantisers, which cast to fp32, must give the same values to 1e-6, or the script
fails (TORCHDYNAMO_DISABLE=1 where no compiler is at hand)."""

import json
import sys

import torch

from waves import sines

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def check_apart(scaled, name):
    gap = ((scaled.abs() % 1.0) - 0.5).abs().min().item()
    assert gap > 1e-4, f"{name}: {gap} from a half"


def byte_codes(x):
    s = 127 / x.abs().max(-1, keepdim=True).values.clamp(min=1e-5)
    return (x * s).round().clamp(-128, 127), s, x * s


def ternary_codes(w):
    s = 1 / w.abs().mean().clamp(min=1e-5)
    return (w * s).round().clamp(-1, 1), s, w * s


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, value):
        return value

    @staticmethod
    def backward(ctx, g):
        return g, None


def bit_linear(x, w, parts):
    """The maps of `parts` rows each, stacked in w, on their common input."""
    xn = x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-8)
    codes, s, scaled = byte_codes(xn.detach())
    check_apart(scaled, "inputs")
    xq = StraightThrough.apply(xn, codes / s)
    rows = []
    for part in torch.split(w, parts):
        codes, s, scaled = ternary_codes(part.detach())
        check_apart(scaled, "weights")
        rows.append(StraightThrough.apply(part, codes / s))
    return xq @ torch.cat(rows).T


def linear_golden():
    x, w = sines((2, 3, 8), 0.83, 1.4), sines((10, 8), 0.61, 0.9)
    parts = [6, 4]
    leaves = [x.clone().requires_grad_(), w.clone().requires_grad_()]
    y = bit_linear(*leaves, parts)
    (y * sines(y.shape, 0.3)).sum().backward()
    xn = x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-8)
    return {"inputs": byte_codes(xn)[0], "weights": torch.cat([ternary_codes(p)[0] for p in torch.split(w, parts)]),
            "y": y, "dx": leaves[0].grad, "dw": leaves[1].grad}


WIDTH, DEPTH, LAYER = 8, 3, 2


def mlgru(x, w, ternary):
    def linear(a, m, parts):
        return bit_linear(a, m, parts) if ternary else a @ m.T

    share = torch.softmax(w["bounds"].view(DEPTH, WIDTH), 0)
    bound = torch.cumsum(share, 0)[LAYER] - share[0]
    f, c, g = torch.split(linear(x, w["fcg"], [WIDTH] * 3), WIDTH, -1)
    f = bound + (1 - bound) * torch.sigmoid(f)
    c = c * torch.sigmoid(c)
    h, states = torch.zeros(x.shape[0], WIDTH), []
    for t in range(x.shape[1]):
        h = f[:, t] * h + (1 - f[:, t]) * c[:, t]
        states.append(h)
    h = torch.stack(states, 1)
    g = g / torch.sqrt((g * g).mean(-1, keepdim=True) + 1e-6) * w["norm"]
    return linear(g * h * torch.sigmoid(h), w["out"], [WIDTH]), states[-1]


def mlgru_golden(ternary):
    x = sines((2, 11, WIDTH), 0.83, 1.4)
    w = {"fcg": sines((3 * WIDTH, WIDTH), 0.73, 0.6), "out": sines((WIDTH, WIDTH), 0.37, 0.5),
         "norm": sines((WIDTH,), 0.63, 0.4, 1.0), "bounds": sines((DEPTH * WIDTH,), 1.3, 0.8)}
    leaves = {k: v.clone().requires_grad_() for k, v in w.items()}
    x = x.requires_grad_()
    out, last = mlgru(x, leaves, ternary)
    (out * sines(out.shape, 0.3)).sum().backward()
    return {"out": out, "state": last, "dx": x.grad, **{"d" + k: v.grad for k, v in leaves.items()}}


def compare_with_transformers():
    try:
        from transformers.integrations.bitnet import ActQuant, WeightQuant
    except ImportError:
        print("transformers' quantisers are not installed: not compared")
        return
    x, w = sines((2, 3, 8), 0.83, 1.4), sines((6, 8), 0.61, 0.9)
    codes, s, _ = byte_codes(x)
    assert (ActQuant.apply(x) - codes / s).abs().max() < 1e-6
    codes, s, _ = ternary_codes(w)
    assert (WeightQuant.apply(w) - codes / s).abs().max() < 1e-6
    print("equal to transformers")


def main(path):
    golden = {"linear": linear_golden(), "dense": mlgru_golden(False), "ternary": mlgru_golden(True)}
    compare_with_transformers()
    flat = {name: {k: v.detach().reshape(-1).tolist() for k, v in entry.items()} for name, entry in golden.items()}
    with open(path, "w") as f:
        json.dump(flat, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
