"""Numbers that goldens and the tests that read them both compute, so that they need not be stored."""

import math

import torch


def sines(shape, step, size=1.0, shift=0.0):
    """size sin(step i) + shift, i counting through the shape; the tests' sines() and Wave."""
    return (torch.sin(torch.arange(math.prod(shape)) * step) * size + shift).view(shape)
