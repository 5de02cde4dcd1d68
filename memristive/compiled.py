"""Functions compiled by numba, in a cache that is never stale. numba is imported when the first of
them is called: the import takes a third of a second, and the paper's scripts call none.

numba compiles a file anew when it changes, but compiled code also holds functions and constants of
other files. Therefore the cache is one folder, whose name is a hash of all sources of kernels: a
change in any of them leads to a new folder.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# files with compiled functions, and with the constants that these use
KERNELS = (
    *("memristor.py", "memristive/devices/write_curve.py", "memristive/scores/decisions.py"),
    *("memristive/closed_form/*.py", "memristive/writing/*.py", "memristive/learning/rule.py"),
    *("memristive/stdp/stdp_circuit.py", "memristive/compiled.py"),
)
# s; a folder of older content is kept for so long, because another process may still write to it
UNUSED = 24 * 3600.0

# without these options numba gives a function the options of the first caller that it compiles
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False}


class Waiting:
    """A function that numba compiles when it, or another one of its kind, is called for the first
    time.
    """

    def __init__(self, function: Callable, options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options

    def __call__(self, *arguments: object) -> Any:
        """Compile or load the function, and call it."""
        start()
        return self.dispatcher(*arguments)

    @functools.cached_property
    def dispatcher(self) -> Any:
        """The function as numba calls it, from here on, and compiles it."""
        import numba  # see the top of the file

        config: Any = numba.config  # its values are set as NUMBA_CACHE_DIR and the like
        before = config.CACHE_DIR
        folder = cache_folder()
        config.CACHE_DIR = str(folder or before)
        try:
            return numba.njit(cache=folder is not None, **OPTIONS | self.options)(self.function)
        finally:
            config.CACHE_DIR = before


@functools.cache
def start() -> None:
    """Replace functions that wait by numba's functions, in all modules, because compiled code can
    call no others.
    """
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if type(value) is Waiting:
                setattr(module, name, value.dispatcher)


def compiled(function: Callable | None = None, /, **options: Any) -> Any:
    """Compile a function as `numba.njit` does and keep the result until a file of `KERNELS`
    changes. The function's file must be one of them.

    Parameters
    ----------
    function : callable, optional
        None: return a decorator.
    **options
        Options of `numba.njit`, except `cache`.

    Returns
    -------
    callable
    """
    if function is None:
        return functools.partial(compiled, **options)
    waiting = Waiting(function, options)
    return waiting.dispatcher if start.cache_info().currsize else waiting


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder for compiled functions, and remove older ones; None if no folder is
    writable. Print a line if the folder is new, because compilations take long.
    """
    files = sorted(path for pattern in KERNELS for path in ROOT.glob(pattern))
    content = b"".join(path.read_bytes() for path in files)
    name = f"kernels-{hashlib.sha256(content).hexdigest()[:16]}"
    for parent in (
        os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__",
        os.path.expanduser("~/.cache"),
    ):
        folder = Path(parent, "memristive", name)
        new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # fails if not writable; refreshes the folder's mtime
            tempfile.NamedTemporaryFile(dir=folder).close()
        except OSError:
            continue
        for other in folder.parent.glob("kernels-*"):
            with contextlib.suppress(OSError):  # another process has removed it
                if other != folder and time.time() - other.stat().st_mtime > UNUSED:
                    shutil.rmtree(other)
        if new:
            note = "compiling: the first run of each kind of network takes longer"
            print(note, file=sys.stderr, flush=True)
        return folder
    return None
