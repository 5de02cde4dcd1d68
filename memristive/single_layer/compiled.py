"""numba's compiler with a cache that cannot be stale.

Compiling the layers takes 15 s, once: what is compiled is kept beside the sources. numba itself compares the age of one file
only, and would go on with old code where a function that it calls stands in another file; here the cache's folder is named for
the text of the whole wing, so that any change compiles anew.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numba import config, njit

WING = Path(__file__).resolve().parent
TEXT = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(WING.glob("*.py")))).hexdigest()[:16]


def _place() -> Path | None:
    """Where compiled code is kept: beside the sources, else in the user's cache; None if neither can be written."""
    users = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for folder in (WING / "__pycache__", Path(users, "in-situ-memristive-learning")):
        place = folder / f"compiled_{TEXT}"
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                return place
    return None


KEPT = _place()


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Decorator as numba's njit, with its `options`; what it compiles is kept if the folder can be written."""
    if function is None:
        return lambda decorated: compiled(decorated, **options)
    settings = vars(config)
    usual, settings["CACHE_DIR"] = settings["CACHE_DIR"], str(KEPT or "")  # read when a function is decorated
    try:
        result = njit(cache=KEPT is not None, **options)(function)
    finally:
        settings["CACHE_DIR"] = usual
    compile_for = result._compile_for_args  # what numba calls for arguments of types that it has not met

    def compile_interruptibly(*arguments: Any, **more: Any) -> Any:
        with interruptible():
            return compile_for(*arguments, **more)

    result._compile_for_args = compile_interruptibly
    return result


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within it Ctrl-C counts also where LLVM's compiler calls back: Python loses what is raised there, and goes on or fails."""
    lost: list[BaseException] = []
    usual = sys.unraisablehook

    def keep(problem: Any) -> None:
        if isinstance(problem.exc_value, KeyboardInterrupt):
            lost.append(problem.exc_value)
        else:
            usual(problem)

    sys.unraisablehook = keep
    try:
        yield
    except Exception:
        if not lost:
            raise
    finally:
        sys.unraisablehook = usual
    if lost:
        raise KeyboardInterrupt
