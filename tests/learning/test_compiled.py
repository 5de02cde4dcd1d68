"""What numba compiled is kept for the next process, and never used after any file of the wing has changed."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys

import pytest

from memristive.single_layer import compiled as compiling
from tests.helpers import ROOT

USE = "import sys; sys.path.insert(0, '.'); from learning.user import twice; print(twice(4.0))"


def test_change_in_a_file_that_compiled_code_calls_compiles_anew(tmp_path):
    """numba alone would go on with the old code: it looks at the age of the caller's file only."""
    wing = tmp_path / "learning"
    wing.mkdir()
    shutil.copy(ROOT / "learning" / "compiled.py", wing)
    (wing / "called.py").write_text("def step(x):\n    return 2 * x\n")
    (wing / "user.py").write_text("from learning import called\nfrom memristive.single_layer.compiled import compiled\n"
                                  "step = compiled(called.step)\n@compiled\ndef twice(x):\n    return step(x)\n")
    said = []
    for body in ("return 2 * x", "return 3 * x + 0"):  # of another size: Python itself sees no younger change within a second
        (wing / "called.py").write_text(f"def step(x):\n    {body}\n")
        said.append(float(subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True,
                                         check=True).stdout))
    assert said == [8.0, 12.0]
    assert len(list((wing / "__pycache__").glob("compiled_*"))) == 2


@pytest.mark.parametrize("home", ["writable", "none"])
def test_folder_that_cannot_be_written_gives_no_old_code_and_no_failure(tmp_path, home):
    """Of another user's, say: then the user's cache is used, or none; numba's own would go by the age of one file."""
    wing, cache = tmp_path / "learning", tmp_path / "cache"
    wing.mkdir()
    (wing / "__pycache__").touch()  # no folder can be made there
    cache.touch() if home == "none" else cache.mkdir()
    shutil.copy(ROOT / "learning" / "compiled.py", wing)
    (wing / "user.py").write_text("from learning import called\nfrom memristive.single_layer.compiled import compiled\n"
                                  "step = compiled(called.step)\n@compiled\ndef twice(x):\n    return step(x)\n")
    said = []
    for body in ("return 2 * x", "return 3 * x + 0"):
        (wing / "called.py").write_text(f"def step(x):\n    {body}\n")
        said.append(float(subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=True,
                                         env=os.environ | {"XDG_CACHE_HOME": str(cache)}).stdout))
    assert said == [8.0, 12.0]
    assert home == "none" or len(list(cache.glob("*/compiled_*"))) == 2


def test_what_is_raised_in_a_callback_from_c_is_not_lost(capfd):
    """LLVM's compiler calls back to Python: there Ctrl-C vanishes, and numba goes on without what it should have had."""
    def stopped():
        raise KeyboardInterrupt
    callback = ctypes.CFUNCTYPE(None)(stopped)
    with pytest.raises(KeyboardInterrupt), compiling.interruptible():
        callback()
    with pytest.raises(KeyboardInterrupt), compiling.interruptible():
        callback()
        raise RuntimeError("no compiled object yet")
    with pytest.raises(RuntimeError, match="another"), compiling.interruptible():
        raise RuntimeError("another")
    assert capfd.readouterr().err == ""


def test_what_else_is_raised_in_a_callback_is_reported_as_ever(monkeypatch):
    def failed():
        raise ValueError
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: reported.append(problem.exc_type))
    before = sys.unraisablehook
    with compiling.interruptible():
        ctypes.CFUNCTYPE(None)(failed)()
    assert reported == [ValueError] and sys.unraisablehook is before


def test_every_compilation_can_be_interrupted(monkeypatch):
    begun = []

    @contextlib.contextmanager
    def noted():
        begun.append(True)
        yield
    monkeypatch.setattr(compiling, "interruptible", noted)
    twice = compiling.compiled(lambda x: 2 * x)
    assert (twice(2), twice(3), twice(2.5)) == (4, 6, 5.0)
    assert len(begun) == 2  # whole numbers and others
