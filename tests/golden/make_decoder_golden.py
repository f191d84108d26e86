"""Golden values for tests/model/golden_test.cpp: the decoder written from its formulas alone, in fp64 PyTorch.

Usage: python3 make_decoder_golden.py OUT_FOLDER. Writes decoder_{standard,mup,umup}.safetensors: tokens, targets,
weights, logits, losses, gradients of the mean loss (with the rule's own gradient factors), and the weights after
some AdamW steps. The names of the tensors are those of Rung's checkpoints; metadata holds the configuration.

Sources: RoPE (Su et al. 2021), grouped queries (Ainslie et al. 2023), SwiGLU (Shazeer 2020), RMSNorm (Zhang and
Sennrich 2019), muP (Tensor Programs V, table 8), unit scaling (Blake et al. 2023) and u-muP (arXiv 2407.17465)."""

import json
import math
import pathlib
import struct
import sys

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

SHAPE = dict(V=13, width=8, depth=2, head_dim=2, kv_heads=2, inner=22, T=9, B=3, base_width=4, base_head_dim=1)
MULTIPLIERS = dict(alpha_res=0.8, alpha_attn=1.3, alpha_ffn=0.7, alpha_ratio=1.2, alpha_loss=1.1, alpha_emb=0.9)
TRAIN = dict(standard=(0.01, 1.0, 1e-8), mup=(0.02, 1.0, 1e-8), umup=(0.3, 0.0, 1e-12))  # lr, clip, epsilon
STEPS, WARMUP, COOLDOWN, DECAY, BETA1, BETA2 = 6, 2, 2, 1e-3, 0.9, 0.98


class Scale(torch.autograd.Function):
    """x times `forward`; the gradient times `backward`."""

    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward_factor = backward
        return x * forward

    @staticmethod
    def backward(ctx, g):
        return g * ctx.backward_factor, None, None


scale = Scale.apply


def between(alpha, low, high):
    return math.exp(alpha * math.log(high) + (1 - alpha) * math.log(low))


def linear(x, w, a):
    """a = (forward, gradient of the input, gradient of the weight)."""
    x, w = scale(x, 1.0, a[1] / a[0]), scale(w, 1.0, a[2] / a[0])
    return a[0] * (x @ w.T)


class Rule:
    """A, B, C and epsilon by role, and the factors of what has no weights."""

    def __init__(self, name):
        s, m = SHAPE, MULTIPLIERS
        d, T, V, tokens = s["head_dim"], s["T"], s["V"], s["B"] * s["T"]
        ratio = s["width"] / s["base_width"]
        ffn = m["alpha_res"] * math.sqrt(2 / (1 + m["alpha_ratio"] ** 2))
        attn = m["alpha_ratio"] * ffn
        self.name, self.split = name, name == "umup"
        self.attention, self.activation, self.loss_gradient = 1.0, 1.0, 1.0
        if name == "umup":
            self.logit = m["alpha_attn"] / d
            self.attention = 1 / between(1 / (1 + 4 * d / m["alpha_attn"] ** 2), math.sqrt(math.log(T) / T), 1.0)
            self.activation = between(1 / (1 + 1 / m["alpha_ffn"] ** 2), 2.0, math.sqrt(2.0))
            # of the summed loss, before alpha_loss
            self.loss_gradient = V / math.sqrt(V - 1) * tokens / m["alpha_loss"]
            self.residual = []
            for l in range(2 * s["depth"]):
                tau = (attn, ffn)[l % 2] / math.sqrt(s["depth"] + (l + 1) // 2 * attn**2 + l // 2 * ffn**2)
                self.residual.append((1 / math.sqrt(1 + tau**2), tau / math.sqrt(1 + tau**2)))
        else:
            self.residual = [(1.0, attn), (1.0, ffn)] * s["depth"]
            base = s["base_head_dim"]
            self.logit = m["alpha_attn"] * (math.sqrt(base) / d if name == "mup" else 1 / math.sqrt(d))
        self.ratio, self.tokens = ratio, tokens

    def factors(self, role, fan_in, fan_out):
        """((A forward, A input, A weight), B, C, epsilon)."""
        s, one = SHAPE, (1.0, 1.0, 1.0)
        rows = self.tokens**-0.5
        if self.name == "standard":
            return one, 1.0 if role == "embedding" else fan_in**-0.5, 1.0, 1.0
        if self.name == "mup":
            m = self.ratio
            if role == "embedding":
                return one, 1.0, 1.0, 1 / m
            if role == "hidden":
                return one, fan_in**-0.5, 1 / m, 1 / m
            return (1 / m,) * 3, math.sqrt(m / fan_in), 1.0, 1 / m
        if role == "embedding":
            return (1.0, 1.0, math.sqrt(s["V"] / self.tokens)), 1.0, s["width"] ** -0.5, 1.0
        if role == "hidden":
            return (fan_in**-0.5, fan_in**-0.5, rows), 1.0, fan_in**-0.5 * s["depth"] ** -0.5, 1.0
        return (1 / fan_in, fan_out**-0.5, rows), 1.0, 1.0, 1.0


def tensors():
    """name -> (role, shape)."""
    s = SHAPE
    heads = s["width"] // s["head_dim"]
    table = {"embedding": ("embedding", (s["V"], s["width"]))}
    for i in range(s["depth"]):
        table[f"blocks.{i}.mixer.qkv"] = ("hidden", ((heads + 2 * s["kv_heads"]) * s["head_dim"], s["width"]))
        table[f"blocks.{i}.mixer.out"] = ("hidden", (s["width"], heads * s["head_dim"]))
        table[f"blocks.{i}.ffn.gate_up"] = ("hidden", (2 * s["inner"], s["width"]))
        table[f"blocks.{i}.ffn.down"] = ("hidden", (s["width"], s["inner"]))
    table["readout"] = ("readout", (s["V"], s["width"]))
    return table


def norm(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def rope(x):
    """x [B, T, heads, d]: pairs (i, i + d / 2) turn by position * 10000^(-2 i / d)."""
    T, d = x.shape[1], x.shape[3]
    out = torch.empty_like(x)
    for t in range(T):
        for i in range(d // 2):
            angle = t * 10000.0 ** (-2 * i / d)
            c, s = math.cos(angle), math.sin(angle)
            out[:, t, :, i] = x[:, t, :, i] * c - x[:, t, :, i + d // 2] * s
            out[:, t, :, i + d // 2] = x[:, t, :, i + d // 2] * c + x[:, t, :, i] * s
    return out


def attention(qkv, rule):
    s = SHAPE
    d, kv = s["head_dim"], s["kv_heads"]
    heads = s["width"] // d
    B, T, _ = qkv.shape
    qkv = scale(qkv, 1.0, 1.0)
    q = rope(qkv[..., : heads * d].reshape(B, T, heads, d))
    k = rope(qkv[..., heads * d : (heads + kv) * d].reshape(B, T, kv, d))
    v = qkv[..., (heads + kv) * d :].reshape(B, T, kv, d)
    rows = []
    for t in range(T):
        out = []
        for h in range(heads):
            g = h * kv // heads
            scores = torch.einsum("bd,bjd->bj", q[:, t, h], k[:, : t + 1, g]) * rule.logit
            out.append(torch.einsum("bj,bjd->bd", torch.softmax(scores, -1), v[:, : t + 1, g]))
        rows.append(torch.cat(out, -1))
    return torch.stack(rows, 1) * rule.attention


def decoder(w, tokens, rule):
    s, m = SHAPE, MULTIPLIERS
    a = {name: rule.factors(role, shape[1], shape[0])[0] for name, (role, shape) in tensors().items()}
    table = scale(w["embedding"], 1.0, a["embedding"][2])
    h = m["alpha_emb"] * table[tokens]
    for i in range(s["depth"]):
        for half in range(2):
            skip, branch = rule.residual[2 * i + half]
            # Unit scaling applies the branch's factor in the backward pass where the branch splits off.
            y = norm(scale(h, 1.0, branch) if rule.split else h)
            p = f"blocks.{i}."
            if half == 0:
                y = linear(y, w[p + "mixer.qkv"], a[p + "mixer.qkv"])
                y = linear(attention(y, rule), w[p + "mixer.out"], a[p + "mixer.out"])
            else:
                both = linear(y, w[p + "ffn.gate_up"], a[p + "ffn.gate_up"])
                gate, up = both[..., : s["inner"]], both[..., s["inner"] :]
                y = gate * torch.sigmoid(m["alpha_ffn"] * gate) * up * rule.activation
                y = linear(y, w[p + "ffn.down"], a[p + "ffn.down"])
            h = skip * h + scale(y, branch, 1.0 if rule.split else branch)
    logits = linear(norm(h), w["readout"], a["readout"])
    return logits * m["alpha_loss"]


def losses_of(logits, targets):
    return torch.logsumexp(logits, -1) - logits.gather(-1, targets[..., None])[..., 0]


def gradients(w, tokens, targets, rule):
    leaves = {name: t.clone().requires_grad_() for name, t in w.items()}
    logits = decoder(leaves, tokens, rule)
    losses = losses_of(logits, targets)
    scale(losses.mean(), 1.0, rule.loss_gradient).backward()
    return logits.detach(), losses.detach(), {name: t.grad for name, t in leaves.items()}


def schedule(step):
    """Linear warm-up, a constant trunk, linear cooldown."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    trunk = STEPS - COOLDOWN
    return 1.0 if step < trunk else 1 - (step - trunk) / COOLDOWN


def train(w, tokens, targets, rule):
    """AdamW with independent decay on one batch; the clip is over the gradient of all tensors."""
    lr, clip, epsilon = TRAIN[rule.name]
    w = {name: t.clone() for name, t in w.items()}
    first = {name: torch.zeros_like(t) for name, t in w.items()}
    second = {name: torch.zeros_like(t) for name, t in w.items()}
    history = []
    for step in range(STEPS):
        _, losses, g = gradients(w, tokens, targets, rule)
        history.append(losses.mean().item())
        norm_ = math.sqrt(sum((t * t).sum().item() for t in g.values()))
        factor = clip / norm_ if 0 < clip < norm_ else 1.0
        for name, (role, shape) in tensors().items():
            _, _, C, E = rule.factors(role, shape[1], shape[0])
            grad = g[name] * factor
            first[name] = BETA1 * first[name] + (1 - BETA1) * grad
            second[name] = BETA2 * second[name] + (1 - BETA2) * grad * grad
            m_hat, v_hat = first[name] / (1 - BETA1 ** (step + 1)), second[name] / (1 - BETA2 ** (step + 1))
            update = lr * C * m_hat / (torch.sqrt(v_hat) + epsilon * E)
            w[name] = w[name] - schedule(step) * (update + DECAY * w[name])
    return w, torch.tensor(history)


def write_safetensors(path, named, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, t in named.items():
        flat = t.contiguous().reshape(-1).tolist()
        integral = not t.is_floating_point()
        block = struct.pack(f"<{len(flat)}{'q' if integral else 'd'}", *flat)
        header[name] = {"dtype": "I64" if integral else "F64", "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main(folder):
    torch.manual_seed(7)
    s = SHAPE
    unit = {name: torch.randn(shape) for name, (_, shape) in tensors().items()}
    tokens = torch.randint(s["V"], (s["B"], s["T"] + 1))
    for name in ("standard", "mup", "umup"):
        rule = Rule(name)
        w = {t: unit[t] * rule.factors(role, shape[1], shape[0])[1] for t, (role, shape) in tensors().items()}
        logits, losses, g = gradients(w, tokens[:, :-1], tokens[:, 1:], rule)
        trained, history = train(w, tokens[:, :-1], tokens[:, 1:], rule)
        named = {"windows": tokens, "logits": logits, "losses": losses, "history": history}
        for t in w:
            named["weight:" + t], named["gradient:" + t], named["trained:" + t] = w[t], g[t], trained[t]
        lr, clip, epsilon = TRAIN[name]
        settings = {"parametrisation": name, "base_width": s["base_width"], "model.width": s["width"],
                    "model.depth": s["depth"], "model.kv_heads": s["kv_heads"],
                    "model.context": s["T"], "model.ffn_ratio": s["inner"] / s["width"],
                    "train.batch_tokens": s["B"] * s["T"], "train.tokens": STEPS * s["B"] * s["T"], "train.lr": lr,
                    "train.clip": clip, "train.epsilon": epsilon, "train.weight_decay": DECAY, "train.beta1": BETA1,
                    "train.beta2": BETA2, "train.warmup": WARMUP, "train.cooldown": COOLDOWN,
                    "train.schedule": "linear", **{"multipliers." + k: v for k, v in MULTIPLIERS.items()}}
        write_safetensors(folder / f"decoder_{name}.safetensors", named,
                          {"vocabulary": str(s["V"]), **{k: str(v) for k, v in settings.items()}})
        print(name, history.tolist())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
