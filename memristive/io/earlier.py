"""Results of an earlier run, put aside while a study that keeps its rows one by one makes them again."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memristive.io.claims import differences
from memristive.io.files import FileProblem
from memristive.io.results import results_path

Amount = Callable[[dict[str, Any]], float]  # how much results hold


def count_rows(results: dict[str, Any]) -> float:
    """The amount of results that are rows."""
    return len(results["rows"])


@contextlib.contextmanager
def earlier_kept(folder: str | Path, name: str, amount: Amount = count_rows, resumable: bool = False) -> Iterator[None]:
    """Should what it surrounds end early, the results that were there come back if they hold more than those since.

    More by `amount`, and made with the same parameters; or since then nothing was found. They wait beside their file under a
    second name, and come back by a change of names, for which a full disk has room; after a SIGKILL the next run does that. To be
    entered with the file claimed. Of a study that is `resumable`, a stop says that there is something to go on with. Raises
    FileProblem.
    """
    path = results_path(folder, name).resolve()
    aside = path.with_name(f".{path.name}.earlier")
    try:
        _decide(path, aside, amount, whoever=False)  # a run was killed; --resume may trust what has been claimed
        _put_aside(path, aside)
    except OSError as error:
        raise FileProblem(f"{aside}, where the results of an earlier run wait, cannot be used: {error.strerror}") from error
    try:
        yield
    except BaseException as ended:
        with contextlib.suppress(OSError):  # the next run tries again
            _decide(path, aside, amount, whoever=True)
        if resumable and not isinstance(ended, Exception) and _amount(_load(path), amount) > 0:
            print(f"what is done is kept in {path}; go on with --resume")
        raise
    with contextlib.suppress(OSError):
        aside.unlink(missing_ok=True)


def _put_aside(path: Path, aside: Path) -> None:
    """A second name for the file, whose first one `atomic_write` gives to another."""
    if not path.is_file():
        return
    try:
        os.link(path, aside)
    except OSError:  # a file system without links, or somebody else's file
        try:
            shutil.copy2(path, aside)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


def _decide(path: Path, aside: Path, amount: Amount, whoever: bool) -> None:
    """Of the results put aside and those since, leave the ones that are worth more, under the name of results.

    `whoever`: also those of other parameters, where since then nothing was found.
    """
    if not os.path.lexists(aside):
        return
    earlier, since = _load(aside), _load(path)
    found = _amount(since, amount)
    if _amount(earlier, amount) > found and (_alike(earlier, since) or (whoever and found <= 0)):
        os.replace(aside, path)  # of two names of one file it would leave both: these two differ
    else:
        aside.unlink()


def _load(path: Path) -> Any:
    """What the file holds; None if it is not there, or half a copy."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _amount(results: Any, amount: Amount) -> float:
    """-1: there are no results; 0: they are none of the study's."""
    try:
        return -1 if results is None else amount(results)
    except (KeyError, TypeError, ValueError):
        return 0


def _alike(earlier: Any, since: Mapping[str, Any]) -> bool:
    try:
        return not differences(earlier.get("parameters", {}), since.get("parameters", {}))
    except (AttributeError, TypeError):
        return False
