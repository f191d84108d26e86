"""Golden values for tests/ops/mlstm_test.cpp, tests/ops/slstm_test.cpp and tests/model/mixers/, in fp64.

Usage: python3 make_xlstm_golden.py OUT.json, with torch. Everything is the recurrences of xLSTM (Beck et al. 2024, arXiv
2405.04517) written step by step from the paper, without its stabiliser, and differentiated by autograd; inputs and
weights are sines, which the tests compute too. Where the authors' packages xlstm (2.0.6) and mlstm_kernels are installed,
their layers, with the epsilon of the cell's denominator set to 0, must agree to 1e-12, or the script fails."""

import functools
import json
import sys

import torch
import torch.nn.functional as F

from waves import sines

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def mlstm_cell(q, k, v, i, f, C, n):
    """q, k [B, T, H, K], v [B, T, H, V], i, f [B, T, H], C [B, H, K, V], n [B, H, K] -> h, the last C and n."""
    h = []
    for t in range(q.shape[1]):
        keep, add = torch.sigmoid(f[:, t])[..., None], torch.exp(i[:, t])[..., None]
        C = keep[..., None] * C + (add * k[:, t])[..., None] * v[:, t, :, None, :]
        n = keep * n + add * k[:, t]
        weight = (n * q[:, t]).sum(-1, keepdim=True).abs().clamp_min(1.0)
        h.append((C * q[:, t, :, :, None]).sum(-2) / weight)
    return torch.stack(h, 1), C, n


def slstm_cell(x, R, y, c, n):
    """x [B, T, H, 4, d] in slots i, f, z, o, R [H, 4, d, d], y, c, n [B, H, d] -> every y, the last c and n."""
    ys = []
    for t in range(x.shape[1]):
        i, f, z, o = ((x[:, t] + torch.einsum("hsij,bhj->bhsi", R, y))[:, :, s] for s in range(4))
        c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
        n = torch.sigmoid(f) * n + torch.exp(i)
        y = torch.sigmoid(o) * c / n
        ys.append(y)
    return torch.stack(ys, 1), c, n


def with_gradients(inputs, function):
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items()}
    outputs = function(**leaves)
    sum((o * sines(o.shape, 0.3 - 0.1 * j)).sum() for j, o in enumerate(outputs.values())).backward()
    return {**outputs, **{"d" + k: v.grad for k, v in leaves.items()}}


def mlstm_golden():
    B, T, H, K, V = 2, 11, 2, 3, 4
    inputs = {"q": sines((B, T, H, K), 0.7, 1.5), "k": sines((B, T, H, K), 1.3), "v": sines((B, T, H, V), 0.45, 1.2),
              "i": sines((B, T, H), 1.1, 2.0, -0.5), "f": sines((B, T, H), 0.9, 2.0, 1.0),
              "C": sines((B, H, K, V), 0.33, 0.7), "n": sines((B, H, K), 0.61, 0.8)}
    return with_gradients(inputs, lambda **a: dict(zip(("h", "last_C", "last_n"), mlstm_cell(**a))))


def slstm_golden():
    B, T, H, d = 2, 11, 2, 3
    inputs = {"x": sines((B, T, H, 4, d), 0.7, 1.5), "R": sines((H, 4, d, d), 1.3, 0.6), "y": sines((B, H, d), 0.45),
              "c": sines((B, H, d), 1.1), "n": sines((B, H, d), 0.9, 0.5, 1.0)}
    return with_gradients(inputs, lambda **a: dict(zip(("ys", "last_c", "last_n"), slstm_cell(**a))))


B, T, D, H, K = 2, 11, 8, 2, 4  # of the layers; K: length of the filters
INNER = 2 * D


def conv_silu(x, filters, bias):
    padded = F.pad(x, (0, 0, K - 1, 0))
    return F.silu(sum(padded[:, j:j + x.shape[1]] * filters[:, j] for j in range(K)) + bias)


def blocks(x, w):
    """w [blocks * out, in] on parts of x of size in."""
    parts = x.reshape(*x.shape[:2], -1, w.shape[1])
    return torch.einsum("btgi,goi->btgo", parts, w.view(parts.shape[2], -1, w.shape[1])).flatten(2)


def head_norm(h, gain, eps):
    h = h - h.mean(-1, keepdim=True)
    return (h / torch.sqrt((h * h).mean(-1, keepdim=True) + eps)).flatten(2) * gain


def mlstm_weights():
    return {"up": sines((2 * INNER, D), 0.71, 0.6), "conv": sines((INNER, K), 1.9, 0.5),
            "conv_bias": sines((INNER,), 0.8, 0.3), "q": sines((INNER, 4), 1.7, 0.8), "k": sines((INNER, 4), 0.57, 0.7),
            "v": sines((INNER, 4), 0.93, 0.9), "gates": sines((2 * H, 3 * INNER), 1.1, 0.3),
            "gate_bias": sines((2 * H,), 0.9, 1.0, 0.5), "skip": sines((INNER,), 0.7, 0.5, 1.0),
            "down": sines((D, INNER), 0.37, 0.5), "norm": sines((INNER,), 0.63, 0.4, 1.0)}


def mlstm_layer(x, w):
    xm, z = (x @ w["up"].T).split(INNER, -1)
    u = conv_silu(xm, w["conv"], w["conv_bias"])
    q, k, v = blocks(u, w["q"]), blocks(u, w["k"]), blocks(xm, w["v"])
    i, f = (torch.cat([q, k, v], -1) @ w["gates"].T + w["gate_bias"]).split(H, -1)
    q, k, v = (t.view(*t.shape[:2], H, -1) for t in (q, k, v))
    d = INNER // H
    h, C, n = mlstm_cell(q / d**0.5, k, v, i, f, torch.zeros(B, H, d, d), torch.zeros(B, H, d))
    out = ((head_norm(h, w["norm"], 1e-5) + w["skip"] * u) * F.silu(z)) @ w["down"].T
    return {"out": out, "last_C": C, "last_n": n, "past": xm[:, -(K - 1):]}


def large_weights():
    half = D // 2
    return {"q": sines((half, D), 0.71, 0.6), "k": sines((half, D), 1.7, 0.8), "v": sines((D, D), 0.57, 0.7),
            "o": sines((D, D), 0.93, 0.9), "gates": sines((2 * H, D), 1.1, 3.0), "gate_bias": sines((2 * H,), 0.9, 9.0),
            "out": sines((D, D), 0.37, 0.5), "norm": sines((D,), 0.63, 0.4, 1.0)}


def large_layer(x, w):
    i, f = (15.0 * torch.tanh((x @ w["gates"].T + w["gate_bias"]) / 15.0)).split(H, -1)
    q, k, v = ((x @ w[name].T).view(B, T, H, -1) for name in "qkv")
    d = q.shape[-1]
    h, C, n = mlstm_cell(q / d**0.5, k, v, i, f, torch.zeros(B, H, d, 2 * d), torch.zeros(B, H, d))
    out = (torch.sigmoid(x @ w["o"].T) * head_norm(h, w["norm"], 1e-6)) @ w["out"].T
    return {"out": out, "last_C": C, "last_n": n}


def slstm_weights():
    d = D // H
    return {"conv": sines((D, K), 1.9, 0.5), "conv_bias": sines((D,), 0.8, 0.3), "in_if": sines((2 * D, d), 0.71, 0.9),
            "in_zo": sines((2 * D, d), 1.7, 0.8), "recurrent": sines((4 * D, d), 0.57, 0.7),
            "bias": sines((4 * D,), 1.1, 0.8), "norm": sines((D,), 0.63, 0.4, 1.0)}


def slstm_layer(x, w):
    d = D // H
    u = conv_silu(x, w["conv"], w["conv_bias"])
    slots = [blocks(a, w[name]).view(B, T, H, 2, d) for a, name in ((u, "in_if"), (x, "in_zo"))]
    raw = torch.cat(slots, 3) + w["bias"].view(H, 4, d)
    zero = torch.zeros(B, H, d)
    y, c, n = slstm_cell(raw, w["recurrent"].view(H, 4, d, d), zero, zero, zero)
    return {"out": head_norm(y, w["norm"], 1e-5), "last_c": c, "last_n": n, "past": x[:, -(K - 1):]}


def layer_golden(layer, weights):
    x = sines((B, T, D), 0.83, 1.4).requires_grad_()
    w = {k: v.requires_grad_() for k, v in weights.items()}
    outputs = layer(x, w)
    (outputs["out"] * sines(outputs["out"].shape, 0.3)).sum().backward()
    return {**outputs, "dx": x.grad, **{"d" + k: v.grad for k, v in w.items()}}


def copy(pairs):
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours.reshape(theirs.shape))


def check(name, theirs, ours):
    gap = (theirs - ours).abs().max().item()
    print(f"{name}: largest difference from the authors' code: {gap:.1e}")
    assert gap < 1e-12


def check_first_blocks():
    from xlstm.blocks.mlstm.layer import mLSTMLayer, mLSTMLayerConfig
    from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig
    x = sines((B, T, D), 0.83, 1.4)
    config = mLSTMLayerConfig(num_heads=H, embedding_dim=D, context_length=T, round_proj_up_to_multiple_of=INNER)
    layer, w = mLSTMLayer(config), mlstm_weights()
    cell = layer.mlstm_cell
    cell.backend_fn = functools.partial(cell.backend_fn, eps=0.0)
    copy([(layer.proj_up.weight, w["up"]), (layer.conv1d.conv.weight, w["conv"]), (layer.conv1d.conv.bias, w["conv_bias"]),
          (layer.q_proj.weight, w["q"]), (layer.k_proj.weight, w["k"]), (layer.v_proj.weight, w["v"]),
          (cell.igate.weight, w["gates"][:H]), (cell.fgate.weight, w["gates"][H:]), (cell.igate.bias, w["gate_bias"][:H]),
          (cell.fgate.bias, w["gate_bias"][H:]), (layer.learnable_skip, w["skip"]), (layer.proj_down.weight, w["down"]),
          (cell.outnorm.weight, w["norm"] - 1)])
    check("mlstm", layer(x), mlstm_layer(x, w)["out"])
    layer, w = sLSTMLayer(sLSTMLayerConfig(embedding_dim=D, num_heads=H, backend="vanilla")), slstm_weights()
    d = D // H
    slot = lambda name, s: w[name].view(H, 2, d, d)[:, s]
    # Their module fgate feeds the slot i, and igate the slot f.
    copy([(layer.conv1d.conv.weight, w["conv"]), (layer.conv1d.conv.bias, w["conv_bias"]),
          (layer.fgate.weight, slot("in_if", 0)), (layer.igate.weight, slot("in_if", 1)),
          (layer.zgate.weight, slot("in_zo", 0)), (layer.ogate.weight, slot("in_zo", 1)),
          (layer.slstm_cell._recurrent_kernel_, w["recurrent"]),
          (layer.slstm_cell._bias_, w["bias"].view(H, 4, d).transpose(0, 1)), (layer.group_norm.weight, w["norm"] - 1)])
    check("slstm", layer(x), slstm_layer(x, w)["out"])


def check_large():
    from xlstm.xlstm_large.model import mLSTMLayer, mLSTMLayerConfig
    from mlstm_kernels.torch.backend_module import mLSTMBackendConfig
    backend = mLSTMBackendConfig(chunkwise_kernel="parallel--native_autograd", sequence_kernel="native_sequence__native",
                                 step_kernel="native", mode="train", return_last_states=False, eps=0.0, autocast_kernel_dtype="float64")
    layer = mLSTMLayer(mLSTMLayerConfig(embedding_dim=D, num_heads=H, norm_reduction_force_float32=False, mlstm_backend=backend))
    parallel = layer.mlstm_backend.forward  # returns h alone, of which the layer expects a pair
    layer.mlstm_backend.forward = lambda **inputs: (parallel(**inputs), None)
    w, x = large_weights(), sines((B, T, D), 0.83, 1.4)
    copy([(layer.q.weight, w["q"]), (layer.k.weight, w["k"]), (layer.v.weight, w["v"]), (layer.ogate_preact.weight, w["o"]),
          (layer.igate_preact.weight, w["gates"][:H]), (layer.fgate_preact.weight, w["gates"][H:]),
          (layer.igate_preact.bias, w["gate_bias"][:H]), (layer.fgate_preact.bias, w["gate_bias"][H:]),
          (layer.out_proj.weight, w["out"]), (layer.multihead_norm.weight, w["norm"])])
    check("mlstm-large", layer(x)[0], large_layer(x, w)["out"])


if __name__ == "__main__":
    golden = {"mlstm_cell": mlstm_golden(), "slstm_cell": slstm_golden(),
              "mlstm": layer_golden(mlstm_layer, mlstm_weights()), "mlstm_large": layer_golden(large_layer, large_weights()),
              "slstm": layer_golden(slstm_layer, slstm_weights())}
    try:
        import xlstm
    except ImportError:
        print("xlstm is not installed: not compared")
    else:
        check_first_blocks()
        check_large()
    with open(sys.argv[1], "w") as file:
        json.dump({k: {n: t.flatten().tolist() for n, t in v.items()} for k, v in golden.items()}, file, indent=0)
