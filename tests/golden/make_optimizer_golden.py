"""Golden values for tests/optim/optimizer_golden_test.cpp, in fp64.

Usage: python3 make_optimizer_golden.py OUT.json, with the packages torch and schedulefree (1.4.1).

Schedule-Free comes from its authors' package, Adafactor from PyTorch's; SOAP (Vyas et al. 2024, algorithm 3), Shampoo (Gupta et al. 2018) and Muon
(Jordan et al. 2024) are written here from their formulas in NumPy, independently of the program. The gradient is a formula of the weights and
the step that the test computes too: g_i = (1 + i mod 7) (w_i - cos i) + 0.3 sin(5 w_i + step)."""

import json
import sys

import numpy as np
import schedulefree
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def start(size):
    return np.sin(np.arange(size) * 1.7)


def gradient(w, step):
    i = np.arange(w.size)
    return (1 + i % 7) * (w - np.cos(i)) + 0.3 * np.sin(5 * w + step)


def schedule_free(make, steps=200, size=24):
    w = torch.nn.Parameter(torch.tensor(start(size)))
    optimizer = make([w])
    optimizer.train()
    for step in range(steps):
        w.grad = torch.tensor(gradient(w.detach().numpy(), step))
        optimizer.step()
    train = w.detach().numpy().copy()
    optimizer.eval()
    return {"train": train.tolist(), "eval": w.detach().numpy().tolist()}


def adafactor(shape, lr, steps=60):
    """PyTorch's own; its rate min(lr, t^-1/2) is lr while lr is below t^-1/2."""
    w = torch.nn.Parameter(torch.tensor(start(int(np.prod(shape)))).reshape(shape))
    optimizer = torch.optim.Adafactor([w], lr=lr, weight_decay=0.0, foreach=False)
    for step in range(steps):
        w.grad = torch.tensor(gradient(w.detach().numpy().ravel(), step)).reshape(shape)
        optimizer.step()
    return {"weights": w.detach().numpy().ravel().tolist()}


def soap(m, n, steps, lr, b1, b2, eps, decay, every=10):
    w = start(m * n).reshape(m, n)
    first, second = np.zeros((m, n)), np.zeros((m, n))
    left = right = ql = qr = None
    bases = None
    t = 0

    def vectors(x):
        return np.linalg.eigh(x + 1e-30 * np.eye(len(x)))[1][:, ::-1]

    for step in range(steps):
        g = gradient(w.ravel(), step).reshape(m, n)
        if left is None:
            left, right = (1 - b2) * g @ g.T, (1 - b2) * g.T @ g
            ql, qr = vectors(left), vectors(right)
            bases = {"Q_L": ql.ravel().tolist(), "Q_R": qr.ravel().tolist()}
            continue
        t += 1
        turned = ql.T @ g @ qr
        first = b1 * first + (1 - b1) * turned
        second = b2 * second + (1 - b2) * turned**2
        size = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
        w = w - size * ql @ (first / (np.sqrt(second) + eps)) @ qr.T
        w = w - decay * w
        plain = ql @ first @ qr.T
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if t % every == 0:
            order = np.argsort(-np.diag(ql.T @ left @ ql), kind="stable")
            second, ql = second[order], np.linalg.qr(left @ ql[:, order])[0]
            order = np.argsort(-np.diag(qr.T @ right @ qr), kind="stable")
            second, qr = second[:, order], np.linalg.qr(right @ qr[:, order])[0]
        first = ql.T @ plain @ qr
    return {"weights": w.ravel().tolist(), **bases}


def shampoo(m, n, steps, lr, b1, b2, decay, every=10):
    """Roots by singular values: of a symmetric matrix without negative eigenvalues these are its eigenvalues."""
    w, first = start(m * n).reshape(m, n), np.zeros((m, n))
    left, right = np.zeros((m, m)), np.zeros((n, n))

    def root(x):
        u, s, _ = np.linalg.svd(x, hermitian=True)
        return (u / (s + 1e-6 * s.max()) ** 0.25) @ u.T

    for step in range(steps):
        g = gradient(w.ravel(), step).reshape(m, n)
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if step % every == 0:
            pl, pr = root(left / (1 - b2 ** (step + 1))), root(right / (1 - b2 ** (step + 1)))
        first = b1 * first + (1 - b1) * g
        w = w - lr * pl @ first @ pr / (1 - b1 ** (step + 1)) - decay * w
    return {"weights": w.ravel().tolist()}


def muon(m, n, steps, lr, decay):
    w, buffer = start(m * n).reshape(m, n), np.zeros((m, n))
    for step in range(steps):
        g = gradient(w.ravel(), step).reshape(m, n)
        buffer = buffer + 0.05 * (g - buffer)
        u = g + 0.95 * (buffer - g)
        x = u.T if m > n else u
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        x = x.T if m > n else x
        w = w * (1 - decay) - lr * np.sqrt(max(1.0, m / n)) * x
    return {"weights": w.ravel().tolist()}


if __name__ == "__main__":
    adamw = dict(lr=0.05, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1, warmup_steps=10)
    sgd = dict(lr=0.02, momentum=0.9, weight_decay=0.01, warmup_steps=10)
    rule = dict(lr=0.01, b1=0.95, b2=0.95, eps=1e-8, decay=1e-3)
    golden = {
        "schedule-free-adamw": schedule_free(lambda w: schedulefree.AdamWScheduleFree(w, **adamw)),
        "schedule-free-sgd": schedule_free(lambda w: schedulefree.SGDScheduleFree(w, **sgd)),
        "soap 6x6": soap(6, 6, 41, **rule),
        "soap 7x5": soap(7, 5, 41, **rule),
        "shampoo 6x6": shampoo(6, 6, 41, 0.01, 0.95, 0.95, 1e-3),
        "shampoo 7x5": shampoo(7, 5, 41, 0.01, 0.95, 0.95, 1e-3),
        "muon 6x4": muon(6, 4, 20, 0.02, 1e-3),
        "muon 4x6": muon(4, 6, 20, 0.02, 1e-3),
        "adafactor 4x6": adafactor((4, 6), 0.05),
        "adafactor 24": adafactor((24,), 0.05),
    }
    with open(sys.argv[1], "w") as file:
        json.dump(golden, file, indent=0)
