"""The laws that scipy fits in bench/rival_laws.py: theta and columns to the prediction [n] and its Jacobian [n, k]."""

import numpy as np


def chinchilla(theta, x):
    """ln L = logsumexp(a - alpha ln N, b - beta ln D, e); theta = a, b, e, alpha, beta."""
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * x[0], b - beta * x[1], np.full_like(x[0], e)])
    top = terms.max(0)
    weights = np.exp(terms - top)
    total = weights.sum(0)
    weights /= total
    jacobian = np.stack([weights[0], weights[1], weights[2], -x[0] * weights[0], -x[1] * weights[1]], 1)
    return top + np.log(total), jacobian


def vocabulary(theta, x):
    """L_u = -E + A1/Nnv^a1 + A2/Nv^a2 + B/D^a1; theta = E, ln A1, ln A2, ln B, a1, a2."""
    E, A1, A2, B, a1, a2 = theta
    t1, t2, t3 = np.exp(A1 - a1 * x[0]), np.exp(A2 - a2 * x[1]), np.exp(B - a1 * x[2])
    jacobian = np.stack([-np.ones_like(t1), t1, t2, t3, -x[0] * t1 - x[2] * t3, -x[1] * t2], 1)
    return -E + t1 + t2 + t3, jacobian


def rectified(theta, x):
    """ln L of L = B/(D_l + D^beta) + E; theta = ln B, ln D_l, beta, ln E."""
    B, Dl, beta, E = theta
    power = np.exp(beta * x[0])
    below = np.exp(Dl) + power
    term, E = np.exp(B) / below, np.exp(E)
    loss = term + E
    jacobian = np.stack([term, -term * np.exp(Dl) / below, -term * power * x[0] / below, np.full_like(loss, E)], 1)
    return np.log(loss), jacobian / loss[:, None]


def routing(theta, x):
    """ln L of log10 L = a n + b h + c n h + d, n = log10 N, h = log10 Eh; theta = a, b, c, d, ln E_start, ln E_max."""
    a, b, c, d, start, most = theta[0], theta[1], theta[2], theta[3], np.exp(theta[4]), np.exp(theta[5])
    gap = 1.0 / start - 1.0 / most
    inner = x[1] - 1.0 + 1.0 / gap
    inverse = 1.0 / inner + 1.0 / most
    h = -np.log10(inverse)
    slope = (b + c * x[0]) / np.log(10.0) / inverse  # of the prediction in -inverse
    pull = 1.0 / (inner * gap) ** 2
    jacobian = np.stack([x[0], h, x[0] * h, np.ones_like(h), slope * pull / start, slope * (1.0 - pull) / most], 1)
    return np.log(10.0) * (a * x[0] + b * h + c * x[0] * h + d), np.log(10.0) * jacobian


def line(theta, x):
    """y = K + p x: a power law in logs."""
    return theta[0] + theta[1] * x[0], np.stack([np.ones_like(x[0]), x[0]], 1)


def square_root(theta, x):
    """y = K + x / 2."""
    return theta[0] + 0.5 * x[0], np.ones((len(x[0]), 1))


def steps(theta, x):
    """ln steps = ln(a + b/B); theta = ln a, ln b."""
    a, b = np.exp(theta[0]), np.exp(theta[1]) / x[0]
    return np.log(a + b), np.stack([a / (a + b), b / (a + b)], 1)
