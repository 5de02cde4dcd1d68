"""The cache of compiled functions follows every file that they depend on."""

import os
import shutil
import subprocess
import sys
import time

from tests.helpers import ROOT

USE = """
from memristive.compiled import compiled
from memristive.learning.rule import dose_factor

@compiled
def first_dose(presentations):
    return dose_factor(0, presentations, 0.5)
"""
CHANGE = """

@compiled
def dose_factor(done, presentations, final):
    return 2.0
"""
CALL = """
from memristive.learning.use import first_dose
print(first_dose({}), len(first_dose.stats.cache_hits))
"""


def test_a_changed_rule_is_compiled_anew(tmp_path):
    for name in ("memristor.py", "snn_circuit.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "memristive", tmp_path / "memristive", ignore=shutil.ignore_patterns("__pycache__")
    )

    def append(name, text):
        with (tmp_path / "memristive/learning" / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def first_dose(presentations=9):
        environment = {
            name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"
        }
        done = subprocess.run(
            [sys.executable, "-c", CALL.format(presentations)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout.strip() or done.stderr, "compiling" in done.stderr

    append("use.py", USE)  # compiled in a second, the kernel itself in half a minute
    assert first_dose() == ("1.0 0", True)
    assert first_dose() == ("1.0 1", False)  # from the cache, without a word
    for file in (tmp_path / "memristive").rglob("__pycache__/memristive/**/*"):
        os.utime(file, (0, time.time() - 3600))
    # as for a network of another depth, an hour later: announced before
    assert first_dose(9.0) == ("1.0 0", False)
    append("rule.py", CHANGE)
    assert first_dose()[0] == "2.0 0"
