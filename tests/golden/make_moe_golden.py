"""Golden values for tests/model/ffns/moe_test.cpp and peer_test.cpp, in fp64.

Usage: python3 make_moe_golden.py OUT.json, with torch. Both parts are written token by token from the papers (Switch,
arXiv 2101.03961; Mixtral, arXiv 2401.04088; ST-MoE's z-loss, arXiv 2202.08906; PEER, arXiv 2407.04153) and differentiated by
autograd; inputs and weights are sines, which the tests compute too. The objective is sum(out * sines) and, for moe, the
auxiliary losses. Where transformers (5.24.0) and PEER-pytorch (0.2.2) are installed, Mixtral's block with its balance loss, and
PEER without query norm, must agree to 1e-12 (the balance loss, which is in fp32 there, to 1e-6), or the script fails."""

import json
import math
import sys

import torch
import torch.nn.functional as F

from waves import sines

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

B, T, WIDTH = 2, 11, 6
EXPERTS, INNER = 4, 5
SIDE, HEADS, PICKS, KEY = 4, 2, 3, 4
BALANCE, Z, FACTOR = 0.5, 0.25, 2.0


def best(scores, k):
    """Indices of the k largest, which must not be close to the next."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i].item())
    if k < len(scores):
        assert scores[order[k - 1]].item() - scores[order[k]].item() > 1e-3, "a near tie"
    return order[:k]


def swiglu(x, gate_up, down):
    gate, up = (gate_up @ x).chunk(2)
    return down @ (F.silu(gate) * up)


def moe_weights(shared):
    w = {"router": sines((EXPERTS, WIDTH), 0.77, 0.9)}
    for e in range(EXPERTS):
        w[f"experts.{e}.gate_up"] = sines((2 * INNER, WIDTH), 0.71 + 0.1 * e, 0.6)
    for e in range(EXPERTS):
        w[f"experts.{e}.down"] = sines((WIDTH, INNER), 0.53 + 0.1 * e, 0.7)
    if shared:
        w["shared.gate_up"] = sines((2 * INNER, WIDTH), 0.43, 0.6)
        w["shared.down"] = sines((WIDTH, INNER), 0.39, 0.7)
    return w


def moe(x, w, k, gates, shared):
    rows, logits, load = [], [], torch.zeros(EXPERTS)
    for token in x.reshape(-1, WIDTH):
        score = w["router"] @ token
        chosen = best(score, k)
        load[chosen] += 1.0
        share = F.softmax(score, 0)[chosen] if gates == "all" else F.softmax(score[chosen], 0)
        y = sum(g * swiglu(token, w[f"experts.{e}.gate_up"], w[f"experts.{e}.down"]) for g, e in zip(share, chosen))
        rows.append(y + swiglu(token, w["shared.gate_up"], w["shared.down"]) if shared else y)
        logits.append(score)
    logits = torch.stack(logits)
    balance = EXPERTS * (load / load.sum() * F.softmax(logits, -1).mean(0)).sum()
    z = (torch.logsumexp(logits, -1) ** 2).mean()
    return torch.stack(rows).view(x.shape), balance, z, load


def moe_golden(k, gates, shared):
    x = sines((B, T, WIDTH), 0.83, 1.4).requires_grad_()
    w = {n: v.requires_grad_() for n, v in moe_weights(shared).items()}
    out, balance, z, load = moe(x, w, k, gates, shared)
    ((out * sines(out.shape, 0.3)).sum() + FACTOR * (BALANCE * balance + Z * z)).backward()
    assert (load > 0).sum() >= 3
    return {"out": out, "balance": balance, "z": z, "load": load, "dx": x.grad,
            **{"d" + n: v.grad for n, v in w.items()}}


def peer_weights(shared):
    w = {"query": sines((HEADS * KEY, WIDTH), 0.73, 0.8), "keys": sines((2 * SIDE, KEY // 2), 1.13, 1.2),
         "up": sines((SIDE * SIDE, WIDTH), 0.59, 0.7), "down": sines((SIDE * SIDE, WIDTH), 0.91, 0.9)}
    if shared:
        w["shared.up"] = sines((shared, WIDTH), 0.47, 0.6)
        w["shared.down"] = sines((WIDTH, shared), 0.31, 0.5)
    return w


def gelu(x):
    return F.gelu(x, approximate="tanh")


def peer(x, w, norm, shared):
    rows, load = [], torch.zeros(SIDE * SIDE)
    for token in x.reshape(-1, WIDTH):
        y = 0.0
        for q in (w["query"] @ token).view(HEADS, KEY):
            if norm:
                q = (q - q.mean()) / torch.sqrt(q.var(unbiased=False) + 1e-5)
            s1, s2 = w["keys"][:SIDE] @ q[:KEY // 2], w["keys"][SIDE:] @ q[KEY // 2:]
            scores = (s1[:, None] + s2[None, :]).flatten() / math.sqrt(KEY // 2)  # of every expert: no product-key shortcut
            chosen = best(scores, PICKS)
            share = F.softmax(scores[chosen], 0)
            for g, e in zip(share, chosen):
                y = y + g * gelu(w["up"][e] @ token) * w["down"][e]
                load[e] += g.item()
        if shared:
            y = y + w["shared.down"] @ gelu(w["shared.up"] @ token)
        rows.append(y)
    return torch.stack(rows).view(x.shape), load


def peer_golden(norm, shared):
    x = sines((B, T, WIDTH), 0.83, 1.4).requires_grad_()
    w = {n: v.requires_grad_() for n, v in peer_weights(shared).items()}
    out, load = peer(x, w, norm, shared)
    (out * sines(out.shape, 0.3)).sum().backward()
    return {"out": out, "load": load, "dx": x.grad, **{"d" + n: v.grad for n, v in w.items()}}


def check_transformers():
    try:
        from transformers import MixtralConfig
        from transformers.models.mixtral import modeling_mixtral as mixtral
    except ImportError:
        print("transformers is not installed: not compared")
        return
    torch.Tensor.float = torch.Tensor.double
    block = mixtral.MixtralSparseMoeBlock(MixtralConfig(
        hidden_size=WIDTH, intermediate_size=INNER, num_local_experts=EXPERTS, num_experts_per_tok=2, router_jitter_noise=0.0))
    w = moe_weights(False)
    x = sines((B, T, WIDTH), 0.83, 1.4)
    with torch.no_grad():
        block.gate.weight.copy_(w["router"])
        block.experts.gate_up_proj.copy_(torch.stack([w[f"experts.{e}.gate_up"] for e in range(EXPERTS)]))
        block.experts.down_proj.copy_(torch.stack([w[f"experts.{e}.down"] for e in range(EXPERTS)]))
        out, balance, _, _ = moe(x, w, 2, "chosen", False)
        gap = (block.double()(x) - out).abs().max().item()
        # Their loss counts k choices a token: 2 when even.
        theirs = mixtral.load_balancing_loss_func((x.view(-1, WIDTH) @ w["router"].T,), EXPERTS, 2).item() / 2
    print("largest difference from transformers:", gap, "balance loss:", theirs - balance.item())
    assert gap < 1e-12 and abs(theirs - balance.item()) < 1e-6


def check_peer_pytorch():
    try:
        from PEER_pytorch import PEER
    except ImportError:
        print("PEER-pytorch is not installed: not compared")
        return
    module = PEER(WIDTH, heads=HEADS, num_experts=SIDE * SIDE, num_experts_per_head=PICKS, dim_key=KEY // 2,
                  activation=lambda: torch.nn.GELU(approximate="tanh"), non_competing_scores=False).double()
    w = peer_weights(0)
    x = sines((B, T, WIDTH), 0.83, 1.4)
    with torch.no_grad():
        module.weight_down_embed.weight.copy_(w["up"])
        module.weight_up_embed.weight.copy_(w["down"])
        # Theirs are halves of heads, and keys of each head, by which scores are not divided.
        module.to_queries[0].weight.copy_(w["query"].view(HEADS, 2, KEY // 2, WIDTH).transpose(0, 1).reshape(-1, WIDTH))
        module.keys.copy_((w["keys"] / math.sqrt(KEY // 2)).view(2, SIDE, KEY // 2).transpose(0, 1).expand(HEADS, -1, -1, -1))
        gap = (module(x) - peer(x, w, False, 0)[0]).abs().max().item()
    print("largest difference from PEER-pytorch:", gap)
    assert gap < 1e-12


if __name__ == "__main__":
    golden = {"mixtral": moe_golden(2, "chosen", False), "switch": moe_golden(1, "all", True),
              "peer": peer_golden(False, 0), "peer_norm": peer_golden(True, 3)}
    check_peer_pytorch()
    check_transformers()
    with open(sys.argv[1], "w") as file:
        json.dump({k: {n: t.flatten().tolist() for n, t in v.items()} for k, v in golden.items()}, file, indent=0)
