"""Golden values for tests/model/heads_test.cpp: three prediction heads on a trunk of one block, in fp64 PyTorch.

Usage: python3 make_mtp_golden.py OUT_FOLDER. Writes mtp_{standard,umup}.safetensors: windows, weights, the losses of
each head at each position, and gradients of the loss, all heads' sum over the tokens of the batch, differentiated at
once. Blocks and factors are those of make_decoder_golden.py; what heads are is written from Gloeckle et al. 2024
(arXiv 2404.19737), section 2: the heads share trunk, final norm and readout, and head i predicts token t + i."""

import pathlib
import sys

import torch

import make_decoder_golden as base

HEADS = 3


def tensors():
    """The first block and the first head are the decoder's two blocks; the other heads follow."""
    table = base_tensors()
    readout = table.pop("readout")
    for name, entry in list(table.items()):
        if name.startswith("blocks.1."):
            for k in range(2, 1 + HEADS):
                table[name.replace("blocks.1.", f"blocks.{k}.")] = entry
    table["readout"] = readout
    return table


base_tensors = base.tensors
base.tensors = tensors


def block(w, h, i, place, rule, a):
    """Block i with the residual factors of the place-th on its way."""
    inner = base.SHAPE["inner"]
    for half in range(2):
        skip, branch = rule.residual[2 * place + half]
        y = base.norm(base.scale(h, 1.0, branch) if rule.split else h)
        p = f"blocks.{i}."
        if half == 0:
            y = base.linear(y, w[p + "mixer.qkv"], a[p + "mixer.qkv"])
            y = base.linear(base.attention(y, rule), w[p + "mixer.out"], a[p + "mixer.out"])
        else:
            both = base.linear(y, w[p + "ffn.gate_up"], a[p + "ffn.gate_up"])
            gate, up = both[..., :inner], both[..., inner:]
            y = gate * torch.sigmoid(base.MULTIPLIERS["alpha_ffn"] * gate) * up * rule.activation
            y = base.linear(y, w[p + "ffn.down"], a[p + "ffn.down"])
        h = skip * h + base.scale(y, branch, 1.0 if rule.split else branch)
    return h


def head_losses(w, windows, rule):
    """One tensor [B, T - i + 1] a head, i = 1, 2, 3."""
    a = {name: rule.factors(role, shape[1], shape[0])[0] for name, (role, shape) in tensors().items()}
    m, tokens = base.MULTIPLIERS, windows[:, :-1]
    table = base.scale(w["embedding"], 1.0, a["embedding"][2])
    z = block(w, m["alpha_emb"] * table[tokens], 0, 0, rule, a)
    losses = []
    for i in range(1, 1 + HEADS):
        h = base.norm(block(w, z, i, 1, rule, a))
        logits = base.linear(h, w["readout"], a["readout"]) * m["alpha_loss"]
        targets = windows[:, i:]
        losses.append(base.losses_of(logits[:, : targets.shape[1]], targets))
    return losses


def main(folder):
    torch.manual_seed(11)
    s = base.SHAPE
    unit = {name: torch.randn(shape) for name, (_, shape) in tensors().items()}
    windows = torch.randint(s["V"], (s["B"], s["T"] + 1))
    for name in ("standard", "umup"):
        rule = base.Rule(name)
        leaves = {t: (unit[t] * rule.factors(role, shape[1], shape[0])[1]).requires_grad_()
                  for t, (role, shape) in tensors().items()}
        losses = head_losses(leaves, windows, rule)
        total = sum(loss.sum() for loss in losses) / (s["B"] * s["T"])
        base.scale(total, 1.0, rule.loss_gradient).backward()
        named = {"windows": windows, **{f"losses:{i + 1}": loss.detach() for i, loss in enumerate(losses)}}
        for t, leaf in leaves.items():
            named["weight:" + t], named["gradient:" + t] = leaf.detach(), leaf.grad
        settings = {"parametrisation": name, "base_width": s["base_width"], "model.width": s["width"],
                    "model.depth": s["depth"] + HEADS - 1, "model.mtp_heads": HEADS, "model.kv_heads": s["kv_heads"],
                    "model.context": s["T"], "model.ffn_ratio": s["inner"] / s["width"],
                    "train.batch_tokens": s["B"] * s["T"], **{"multipliers." + k: v for k, v in base.MULTIPLIERS.items()}}
        base.write_safetensors(folder / f"mtp_{name}.safetensors", named,
                               {"vocabulary": str(s["V"]), **{k: str(v) for k, v in settings.items()}})
        print(name, [loss.mean().item() for loss in losses])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
