"""Functions compiled by numba, in a cache that is never stale. numba is imported when the first of
them is called: the import takes a third of a second, and the paper's scripts call none.

numba keeps compiled code for each file and compiles it anew when that file changes. But the code
also holds functions and constants of other files. Therefore `compiled` gives each file a folder for
its code. The name of the folder depends on the content of the file and of all project files that it
imports, so a change in any of them leads to a new folder.
"""

import ast
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
# s; a folder of older content is kept for so long, because another process may still write to it
UNUSED = 24 * 3600.0

# numba gives functions without these options those of the caller that it compiles first
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False}

# for each compiled function, a file in its folder that exists once a line was printed
_marks: dict[Callable[..., Any], Path] = {}


class Waiting:
    """A function that numba compiles when it, or another one of its kind, is called for the first
    time.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options

    def __call__(self, *arguments: Any) -> Any:
        """Compile or load the function, and call it."""
        start()
        return self.dispatcher(*arguments)

    @functools.cached_property
    def dispatcher(self) -> Any:
        """The function as numba calls it, from here on, and compiles it."""
        import numba  # see the top of the file

        config: Any = numba.config  # its values are set as NUMBA_CACHE_DIR and the like
        before = config.CACHE_DIR
        folder = _cache_folder(Path(self.function.__code__.co_filename), before)
        config.CACHE_DIR = folder or before
        if folder:
            _marks[self.function] = Path(folder) / "announced"
        try:
            return numba.njit(cache=folder is not None, **OPTIONS | self.options)(self.function)
        finally:
            config.CACHE_DIR = before


@functools.cache
def start() -> None:
    """Put numba's functions in the place of those that wait, in all modules, because compiled code
    can call no others.
    """
    from numba.core.event import Listener, register

    class Announcement(Listener):
        """Announce a compilation, because it takes long; numba sends no event for code from the
        cache.
        """

        def on_start(self, event: Any) -> None:
            announce(event.data["dispatcher"].py_func)

        def on_end(self, event: Any) -> None:
            pass

    register("numba:compile", Announcement())
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if type(value) is Waiting:
                setattr(module, name, value.dispatcher)


def announce(function: Callable[..., Any]) -> None:
    """Print a line at the first compilation into a new folder; one line for all folders of this
    process, and for processes that start together.
    """
    mark = _marks.get(function)
    if mark is None or mark.exists():
        return
    with contextlib.suppress(OSError):
        mark.touch(exist_ok=False)  # FileExistsError: another process was faster
        print(
            "compiling: the first run of each kind of network takes longer",
            file=sys.stderr,
            flush=True,
        )
    for other in _marks.values():
        with contextlib.suppress(OSError):
            other.touch()


def compiled(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile a function as `numba.njit` does and keep the result until a file that it depends on
    changes.

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
def _cache_folder(file: Path, chosen: str) -> str | None:
    """Return the folder for the compiled functions of `file`, and remove its older folders; None if
    no folder is writable. `chosen`: the value of NUMBA_CACHE_DIR, or "".
    """
    sources = _with_imports(file, {})
    content = b"".join(hashlib.sha256(sources[path]).digest() for path in sorted(sources))
    name = f"{file.stem}-{hashlib.sha256(content).hexdigest()[:16]}"
    for parent in (chosen or file.parent / "__pycache__", os.path.expanduser("~/.cache")):
        folder = Path(parent, "memristive", name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # a test, and the mark that the folder is in use
            tempfile.NamedTemporaryFile(dir=folder).close()
        except OSError:
            continue
        for other in folder.parent.glob(f"{file.stem}-*"):
            with contextlib.suppress(OSError):  # another process has removed it
                if other != folder and time.time() - other.stat().st_mtime > UNUSED:
                    shutil.rmtree(other)
        return str(folder)
    return None


def _with_imports(file: Path, found: dict[Path, bytes]) -> dict[Path, bytes]:
    """Add to `found`, by path, the content of `file` and of all project files that are imported
    when it is loaded.
    """
    found[file] = file.read_bytes()
    for node in ast.parse(found[file]).body:
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for path in (ROOT / f"{name.replace('.', '/')}.py" for name in names):
            if path not in found and path.is_file():
                _with_imports(path, found)
    return found
