"""What numba compiled is kept for the next process, and never used after any file of the wing has changed."""

import shutil
import subprocess
import sys

from tests.helpers import ROOT

USE = "import sys; sys.path.insert(0, '.'); from learning.user import twice; print(twice(4.0))"


def test_change_in_a_file_that_compiled_code_calls_compiles_anew(tmp_path):
    """numba alone would go on with the old code: it looks at the age of the caller's file only."""
    wing = tmp_path / "learning"
    wing.mkdir()
    shutil.copy(ROOT / "learning" / "compiled.py", wing)
    (wing / "called.py").write_text("def step(x):\n    return 2 * x\n")
    (wing / "user.py").write_text("from learning import called\nfrom learning.compiled import compiled\n"
                                  "step = compiled(called.step)\n@compiled\ndef twice(x):\n    return step(x)\n")
    said = []
    for body in ("return 2 * x", "return 3 * x"):
        (wing / "called.py").write_text(f"def step(x):\n    {body}\n")
        said.append(float(subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True,
                                         check=True).stdout))
    assert said == [8.0, 12.0]
    assert len(list((wing / "__pycache__").glob("compiled_*"))) == 2
