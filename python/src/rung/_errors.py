"""What can go wrong, as the command line's exit statuses tell it apart: 1 failed, 2 usage, 3 refused."""

from __future__ import annotations


class Error(Exception):
    """Unusable data or files: one line, ``[where] What is wrong. Received X.``, and what to do."""


class UsageError(Error, ValueError):
    """A call that cannot be meant: unknown names (the nearest is given), values out of range."""


class Refused(Error):
    """What the data do not determine is not answered: a prediction or a plan from a refused fit."""


for _class in (Error, UsageError, Refused):
    _class.__module__ = "rung"
