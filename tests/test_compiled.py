"""The cache of compiled functions follows every file that they depend on."""

import ast
import importlib
import inspect
import os
import pkgutil
import shutil
import subprocess
import sys
import types
from pathlib import Path

import memristive
from memristive.compiled import KERNELS
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
from memristive.writing.use import first_dose
print(first_dose(9), len(first_dose.stats.cache_hits))
"""


def test_a_changed_rule_is_compiled_anew(tmp_path):
    for name in ("memristor.py", "snn_circuit.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "memristive", tmp_path / "memristive", ignore=shutil.ignore_patterns("__pycache__")
    )

    def append(name, text):
        with (tmp_path / "memristive" / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def first_dose():
        environment = {
            name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"
        }
        done = subprocess.run(
            [sys.executable, "-c", CALL],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout.strip() or done.stderr, "compiling" in done.stderr

    append("writing/use.py", USE)  # compiled in a second, the kernel itself in half a minute
    assert first_dose() == ("1.0 0", True)
    assert first_dose() == ("1.0 1", False)  # from the cache, without a word
    append("learning/rule.py", CHANGE)
    assert first_dose()[0] == "2.0 0"


def test_the_hashed_files_hold_all_kernels_and_their_constants():
    hashed = {path for pattern in KERNELS for path in ROOT.glob(pattern)}
    for found in pkgutil.walk_packages(memristive.__path__, "memristive."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    kernels = {
        inspect.unwrap(getattr(value, "py_func", value))
        for module in list(sys.modules.values())
        for value in list(vars(module).values())
        if type(value).__name__ in ("Waiting", "CPUDispatcher")
        and value.__module__.startswith(("memristive", "memristor"))
    }
    assert len(kernels) > 50
    for kernel in kernels:
        assert Path(kernel.__code__.co_filename) in hashed, kernel
    files = {kernel.__code__.co_filename: kernel.__module__ for kernel in kernels}
    for file, module in files.items():
        used = {name for kernel in kernels if kernel.__module__ == module for name in names(kernel)}
        for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
            for name in getattr(node, "names", ()):
                value = vars(sys.modules[module]).get(name.asname or name.name)
                if isinstance(value, int | float | tuple | type) and name.name in used:
                    assert ROOT / f"{node.module.replace('.', '/')}.py" in hashed, (name.name, file)


def names(kernel):
    """Return the global names that a kernel uses."""
    nested = [part for part in kernel.__code__.co_consts if isinstance(part, types.CodeType)]
    return {name for code in (kernel.__code__, *nested) for name in code.co_names}
