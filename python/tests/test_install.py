"""A true `pip install ./python`, into a folder of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from conftest import EPOCH, ROOT


def test_pip_install(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("scikit_build_core", reason="skipped: scikit-build-core is not installed")
    if not shutil.which("ccache"):
        pytest.skip("skipped: without ccache the layers would be compiled a second time")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-build-isolation", "--no-deps"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    install = [*pip, "--target", str(tmp_path), str(ROOT / "python")]
    run = subprocess.run(install, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert {"_rung.pyi", "py.typed", "__init__.py"} <= {path.name for path in (tmp_path / "rung").iterdir()}
    script = f"import rung; print(rung.__version__, rung.fit({str(EPOCH)!r}, bootstrap=0).points)"
    environment["PYTHONPATH"] = str(tmp_path)
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split()[1] == "245"
