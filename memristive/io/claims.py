"""Before work begins: its files can be written, no other run writes them, and nothing made otherwise stands there."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memristive.io.files import FileProblem, check_writable, to_json
from memristive.io.voltages import as_trained

try:
    import fcntl
except ImportError:  # Windows: two runs are not kept apart there
    fcntl = None  # type: ignore[assignment]

OPTIONS = {"shape": "size", "random_state": "seed"}  # parameters whose option has another name
NO_OPTIONS = {"states": "the network's voltages", "table": "the table's values", "low": "the features' lowest values",
              "classes": "the classes"}  # parameters that no option sets
# What parameters mean that do not mention these. A classifier's file says no table if it is a user's own, or has learned on.
UNSAID = {"engine": "ngspice", "chip": None, "age": 0, "table": None}


class NotOverwritten(RuntimeError):
    """A file is there that was made with other parameters; the message says which, and what to do."""


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs in two nested sets of parameters, as options: "--seed (1 there, 2 now)".

    `stored` comes from a JSON file, and `now` is compared as it would stand in one. Of a parameter that `stored` does not have,
    nothing is said: it is younger than the file.
    """
    asked = json.loads(to_json(now))
    return _differences({**UNSAID, **stored}, {**asked, **UNSAID, **asked})  # in the order of what is asked for


def _differences(stored: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "--") -> list[str]:
    found = []
    for key, value in now.items():
        if key not in stored or stored[key] == value:
            continue
        there, here = stored[key], value
        if key == "states":
            (there, as_trained_there), (here, as_trained_here) = map(_number, (there, here))
            if there == here or (as_trained_there and as_trained_here):  # trained again, the last digits are others
                continue
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            found += _differences(there, here, "--chip-" if key == "chip" else prefix)
        else:
            name = NO_OPTIONS.get(key) or f"{prefix}{OPTIONS.get(key, key).replace('_', '-')}"
            found.append(f"{name} ({_short(there)} there, {_short(here)} now)")
    return found


def _number(states: Any) -> tuple[Any, bool]:
    """Of what `memristive.io.voltages.states_of` says the number, which older results have alone, and whether they are as trained."""
    return (states.get("number"), states.get("as_trained") is True) if isinstance(states, Mapping) else (states, False)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def refuse_overwriting(path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Raise NotOverwritten if `path` holds something else than voltages or results made with the same `parameters`.

    With a "format" among these, it must hold a file of that format; without, results.
    """
    path = Path(path)
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stored = {**content, **content.get("parameters", {})}
        if content["format"] != parameters["format"] if "format" in parameters else not content["parameters"]:
            raise ValueError
        changed = "format" in parameters and not as_trained(content)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise NotOverwritten(f"{path} is there, and nothing that this script wrote; --force overwrites it") from None
    different = differences({"rule": "hebbian", **stored} if "format" in parameters else stored, parameters)
    different += ["the network's voltages (changed since)"] * changed
    if different:
        raise NotOverwritten(f"{path} was made with other parameters: {', '.join(different[:3])}"
                             f"{' and more' * (len(different) > 3)}; --force overwrites it, or write elsewhere")


@contextlib.contextmanager
def claimed(made_with: Iterable[tuple[Path, Mapping[str, Any]]], others: Iterable[Path] = (),
            force: bool = False) -> Iterator[None]:
    """Claim the files that a run will write: those `made_with` certain parameters (none: whatever is there), and `others`.

    Raises FileProblem if one cannot be written or another run has claimed it, NotOverwritten as `refuse_overwriting` does.
    """
    made_with = list(made_with)
    places = [Path(path) for path in (*(path for path, _ in made_with), *others)]
    for path in places:
        check_writable(path)
    if len({path.resolve() for path in places}) < len(places):
        raise NotOverwritten(f"two of the files to write are the same: {', '.join(map(str, places))}")
    with contextlib.ExitStack() as locks:
        for path in places:
            locks.enter_context(locked(path))
        if not force:
            _refuse_overwriting_any(made_with)
        yield


def _refuse_overwriting_any(made_with: Iterable[tuple[Path, Mapping[str, Any]]]) -> None:
    for path, parameters in made_with:
        if parameters:
            refuse_overwriting(path, parameters)


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold the lock of `path`; raise FileProblem if another process does. The kernel frees it however its holder ends."""
    target = Path(path).resolve()
    lock = target.with_name(f".{target.name}.lock")
    if fcntl is None or (Path(path).exists() and not target.is_file()):
        yield
        return
    descriptor = _lock(lock, path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _lock(lock: Path, path: str | Path) -> int:
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise FileProblem(f"{path} cannot be claimed: {lock}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace")
            os.close(descriptor)
            raise FileProblem(f"{path} is being written by another run (process {holder}); wait for it, or write elsewhere") \
                from None
        except OSError:  # a file system without locks
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                with contextlib.suppress(OSError):  # a full disk: the lock holds, though without a name
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        os.close(descriptor)  # its holder had just removed it: what is locked is no longer there
