"""What `rung train` writes for TensorBoard, read by TensorBoard's own two readers."""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
from typing import Any

import numpy as np
import pytest

Scalars = dict[str, dict[int, float]]  # tag -> step -> value


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A population of two, whose parts have something to report."""
    program = os.environ.get("RUNG", "")
    if not program:
        pytest.skip("skipped: RUNG does not name the program rung (a build without LibTorch)")
    folder = tmp_path_factory.mktemp("tensorboard")
    letters = random.Random(1)
    text = folder / "text.txt"
    text.write_text("\n\n".join("".join(letters.choices("abcde \n", k=800)) for _ in range(40)))
    run = folder / "run"
    settings = ["model.width=16", "model.depth=1", "model.context=32", "model.ffn=moe", "train.batch_tokens=512"]
    settings += ["train.tokens=10240", "train.eval_tokens=1024", "train.eval_every=5", "train.checkpoint_every=5"]
    settings += ["data.held_out=0.2", "train.lr=[0.25,0.5]"]
    train = [program, "train", "--data", str(text), "--threads", "1", "--quiet", "--out", str(run), "--set", *settings]
    subprocess.run(train, check=True, capture_output=True, cwd=folder)
    return run


def logged(folder: pathlib.Path) -> Scalars:
    """The same scalars as log.jsonl has them; what is no number there is not on the board."""
    scalars: Scalars = {}
    for line in (folder / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        lists: dict[str, list[Any]] = {}
        if event["event"] == "step":
            lists = {f"train/{key}": event[key] for key in ("loss", "gradient_norm", "lr")}
        elif event["event"] == "eval":
            lists = {"eval/loss": event["loss"]}
            lists |= {f"parts/{name}": values for name, values in event.get("parts", {}).items()}
        for name, values in lists.items():
            for member, value in enumerate(values):
                if value is not None:
                    scalars.setdefault(f"{name}/{member}", {})[event["step"]] = value
    return scalars


def event_accumulator(folder: pathlib.Path) -> Scalars:
    """The reader that scripts use."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=ABSENT)
    board = module.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    board.Reload()
    return {tag: {e.step: e.value for e in board.Scalars(tag)} for tag in board.Tags()["scalars"]}


def plugin_accumulator(folder: pathlib.Path) -> Scalars:
    """The reader behind the page: it turns scalars into tensors."""
    module = pytest.importorskip("tensorboard.backend.event_processing.plugin_event_accumulator", reason=ABSENT)
    from tensorboard.util.tensor_util import make_ndarray

    board = module.EventAccumulator(str(folder), tensor_size_guidance={"scalars": 0})
    board.Reload()
    tags = board.PluginTagToContent("scalars")
    return {tag: {e.step: float(make_ndarray(e.tensor_proto)) for e in board.Tensors(tag)} for tag in tags}


ABSENT = "skipped: TensorBoard is not installed in this environment"


@pytest.mark.parametrize("read", [event_accumulator, plugin_accumulator])
def test_values_are_the_logs(run_folder: pathlib.Path, read: Any) -> None:
    board, log = read(run_folder), logged(run_folder)
    assert {"train/loss/0", "train/loss/1", "train/lr/1", "eval/loss/0", "parts/0.experts_unevenness/1"} <= set(log)
    assert set(board) == set(log)
    for tag, values in log.items():
        assert list(board[tag]) == list(values), tag
        # Events hold single precision.
        np.testing.assert_array_equal(np.float32(list(board[tag].values())), np.float32(list(values.values())), tag)
    assert len(log["train/loss/0"]) >= 2 and board["train/lr/0"] != board["train/lr/1"]
