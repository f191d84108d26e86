"""Golden values for tests/ops/ssd_test.cpp and tests/model/mixers/mamba2_test.cpp, in fp64.

Usage: python3 make_mamba2_golden.py OUT.json, with torch. Everything is the recurrence of Mamba-2 (Dao & Gu 2024, arXiv
2405.21060) written step by step from the paper and differentiated by autograd; inputs and weights are sines, which the
tests compute too. Where transformers (5.24.0) is installed, its Mamba2Mixer, with its casts to fp32 turned
into fp64, must agree to 1e-12 in both shapes, or the script fails."""

import json
import sys

import torch
import torch.nn.functional as F

from waves import sines

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def recurrence(x, dt, a, b, c, h):
    """x [B, T, H, p], dt [B, T, H], a [H], b, c [B, T, G, N], h [B, H, p, N] -> y, the last h."""
    repeat = x.shape[2] // b.shape[2]
    y = []
    for t in range(x.shape[1]):
        decay = torch.exp(dt[:, t] * a)[:, :, None, None]
        bt = torch.stack([b[:, t, i // repeat] for i in range(x.shape[2])], 1)
        ct = torch.stack([c[:, t, i // repeat] for i in range(x.shape[2])], 1)
        h = decay * h + (dt[:, t, :, None] * x[:, t])[..., None] * bt[:, :, None, :]
        y.append((h * ct[:, :, None, :]).sum(-1))
    return torch.stack(y, 1), h


def ssd_golden():
    B, T, H, p, G, N = 2, 11, 4, 3, 2, 5
    inputs = {"x": sines((B, T, H, p), 0.7, 1.5), "dt": sines((B, T, H), 1.1, 0.4, 0.5),
              "a": sines((H,), 0.9, 0.5, -0.8), "b": sines((B, T, G, N), 1.3), "c": sines((B, T, G, N), 0.45),
              "state": sines((B, H, p, N), 0.33, 0.7)}
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items()}
    y, h = recurrence(*leaves.values())
    ((y * sines(y.shape, 0.3)).sum() + (h * sines(h.shape, 0.2)).sum()).backward()
    return {"y": y, "last": h, **{"d" + k: v.grad for k, v in leaves.items()}}


SHAPES = {"one_group": dict(G=1, N=5, gain=False), "two_groups": dict(G=2, N=3, gain=True)}
B, T, WIDTH, EXPAND, P, K = 2, 11, 6, 2, 3, 4


def weights_of(G, N, gain):
    inner = EXPAND * WIDTH
    heads, mixed = inner // P, inner + 2 * G * N
    w = {"in_zx": sines((2 * inner, WIDTH), 0.71, 0.6), "in_bc": sines((2 * G * N, WIDTH), 1.7, 0.8),
         "in_dt": sines((heads, WIDTH), 0.57, 0.4), "conv": sines((mixed, K), 1.9, 0.5),
         "conv_bias": sines((mixed,), 0.8, 0.3), "A_log": sines((heads,), 1.1, 0.6, 0.4),
         "dt_bias": sines((heads,), 0.9, 1.0, -1.5), "D": sines((heads,), 0.7, 0.5, 1.0),
         "out": sines((WIDTH, inner), 0.37, 0.5)}
    if gain:
        w["norm"] = sines((inner,), 0.63, 0.4, 1.0)
    return w


def mixer(x, w, G, N):
    inner = EXPAND * WIDTH
    heads = inner // P
    zx, bc = x @ w["in_zx"].T, x @ w["in_bc"].T
    z, raw = zx[..., :inner], torch.cat([zx[..., inner:], bc], -1)
    steps = []
    for t in range(x.shape[1]):
        total = w["conv_bias"]
        for j in range(K):
            if t - K + 1 + j >= 0:
                total = total + raw[:, t - K + 1 + j] * w["conv"][:, j]
        steps.append(total.expand(x.shape[0], -1))
    xbc = F.silu(torch.stack(steps, 1))
    xs = xbc[..., :inner].reshape(*x.shape[:2], heads, P)
    b, c = (xbc[..., inner + i * G * N:inner + (i + 1) * G * N].reshape(*x.shape[:2], G, N) for i in range(2))
    dt = F.softplus(x @ w["in_dt"].T + w["dt_bias"])
    y, h = recurrence(xs, dt, -torch.exp(w["A_log"]), b, c, torch.zeros(x.shape[0], heads, P, N))
    y = (y + w["D"][:, None] * xs).flatten(2) * F.silu(z)
    groups = y.reshape(*x.shape[:2], G, inner // G)
    y = (groups / torch.sqrt((groups**2).mean(-1, keepdim=True) + 1e-5)).flatten(2)
    return (y * w["norm"] if "norm" in w else y) @ w["out"].T, h, raw[:, -(K - 1):]


def mixer_golden(G, N, gain):
    x = sines((B, T, WIDTH), 0.83, 1.4).requires_grad_()
    w = {k: v.requires_grad_() for k, v in weights_of(G, N, gain).items()}
    out, h, past = mixer(x, w, G, N)
    (out * sines(out.shape, 0.3)).sum().backward()
    return {"out": out, "state": h, "past": past, "dx": x.grad, **{"d" + k: v.grad for k, v in w.items()}}


def check_transformers():
    try:
        from transformers import Mamba2Config
        from transformers.models.mamba2 import modeling_mamba2
    except ImportError:
        print("transformers is not installed: not compared")
        return
    cast, single = torch.Tensor.to, torch.float32
    torch.Tensor.float = torch.Tensor.double
    torch.Tensor.to = lambda t, *a, **k: cast(t, *[torch.float64 if i is single else i for i in a], **k)
    inner = EXPAND * WIDTH
    for G, N, gain in (tuple(shape.values()) for shape in SHAPES.values()):
        module = modeling_mamba2.Mamba2Mixer(
            Mamba2Config(hidden_size=WIDTH, expand=EXPAND, head_dim=P, num_heads=inner // P, state_size=N, n_groups=G,
                         conv_kernel=K, chunk_size=4, use_conv_bias=True, use_bias=False, layer_norm_epsilon=1e-5), 0)
        w = weights_of(G, N, gain)
        with torch.no_grad():
            module.in_proj.weight.copy_(torch.cat([w["in_zx"], w["in_bc"], w["in_dt"]]))
            module.conv1d.weight.copy_(w["conv"][:, None])
            for ours, theirs in (("conv_bias", module.conv1d.bias), ("A_log", module.A_log), ("D", module.D),
                                 ("dt_bias", module.dt_bias), ("out", module.out_proj.weight)):
                theirs.copy_(w[ours])
            module.norm.weight.copy_(w["norm"] if gain else torch.ones(inner))
            x = sines((B, T, WIDTH), 0.83, 1.4)
            gap = (module(x) - mixer(x, w, G, N)[0]).abs().max().item()
        print("largest difference from transformers:", gap)
        assert gap < 1e-12
    torch.Tensor.to = cast


if __name__ == "__main__":
    golden = {"ssd": ssd_golden(), **{name: mixer_golden(**shape) for name, shape in SHAPES.items()}}
    check_transformers()
    with open(sys.argv[1], "w") as file:
        json.dump({k: {n: t.flatten().tolist() for n, t in v.items()} for k, v in golden.items()}, file, indent=0)
