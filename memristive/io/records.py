"""Files that are written whole or not at all: records, decisions, checkpoints.

A record is JSON with the parameters, the seed and the versions that made it. A file that was made
with other parameters is overwritten only if the user asks for it.
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
import json
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from memristive.files import FileProblem, read_json, restored_progress
from memristive.network.design import Schedule, Setup
from memristive.parameters import Fields, Parameters, Values
from memristive.scores.decisions import decide, decision_name, lead
from memristive.spice.ngspice import signals_deferred
from memristive.spice.session import NgspiceSession


class NotOverwritten(RuntimeError):
    """A file exists that was made with other parameters."""


# checksums of the files that `check_overwriting` allowed this process to replace; None: no file
_checked: dict[str, int | None] = {}


def _checksum(path: Path) -> int | None:
    return zlib.crc32(path.read_bytes()) if path.is_file() else None


def write_file(path: str | Path, content: str | bytes) -> None:
    """Write `content` to a temporary file and rename it, so that `path` always holds complete
    content, old or new.

    If `path` is a symbolic link, its target is replaced and the link stays. If it is a device or a
    pipe, the content is written into it, as a shell does. Raises FileProblem if `path` cannot be
    written.
    """
    path, data = Path(path), content.encode() if isinstance(content, str) else content
    try:
        if _is_special(path):
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise FileProblem(f"{path} cannot be written: {error.strerror}") from error


def _is_special(path: Path) -> bool:
    """Return True for a device, a pipe or a socket: what is written there replaces nothing."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def report(text: str) -> None:
    """Print a line and flush the output."""
    tqdm.write(text)  # above progress bars
    sys.stdout.flush()


def to_json(data: object) -> str:
    """Return `data` as indented JSON: parameters by name, NumPy values as lists, values that are
    not finite as null.
    """
    return json.dumps(_plain(data), indent=1, allow_nan=False) + "\n"


def as_read(content: Values) -> Fields:
    """Return the content of a JSON file of `content`, which a caller checks before it writes."""
    return dict(json.loads(to_json(content)))


def _plain(data: Any) -> object:
    if isinstance(data, Parameters):
        data = data.as_dict()
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, np.ndarray | np.generic):
        data = data.tolist()
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return str(data) if isinstance(data, Path) else data


def write_json(path: str | Path, content: Values, overwrite: bool = False) -> None:
    """Write `content` as JSON.

    A file with other content is kept as NAME.1.json, NAME.2.json and so on, and a line says so,
    unless `overwrite` is True: neither the earlier work nor the new one is lost. Its "versions" may
    differ. With `overwrite`, a file is kept that has changed since `check_overwriting`, as by
    another run at the same time.
    """
    text = to_json(content)
    path = Path(path)
    real = os.path.realpath(path)
    if overwrite and real in _checked:
        overwrite = _checked.pop(real) == _checksum(path)
        if not overwrite:
            report(f"{path} has changed since this run began")
    if path.is_file() and not overwrite:
        try:
            stored = read_json(path, "JSON")
        except FileProblem:
            stored = {}
        if stored | {"versions": None} != json.loads(text) | {"versions": None}:
            names = (path.with_name(f"{path.stem}.{k}{path.suffix}") for k in itertools.count(1))
            kept = next(name for name in names if not name.exists())
            write_file(kept, path.read_bytes())
            report(f"kept the earlier {path} as {kept.name}")
    write_file(path, text)


def check_overwriting(
    path: str | Path,
    parameters: Values | None,
    force: bool,
    others: Iterable[str | Path | None] = (),
    option: str = "",
) -> None:
    """Raise NotOverwritten if a file would be lost, or FileProblem if it could not be written.

    A file would be lost if it exists and was made with other parameters, or if it is one of the
    `others`. Device files of the system and pipes cannot be lost.

    Parameters
    ----------
    path : path
        JSON file with a "parameters" object, or with the parameters beside its data.
    parameters : mapping, or None
        Parameters of this run. None: any existing file is protected.
    force : bool
        Overwrite a file of other parameters.
    others : sequence of paths
        Further files that the run reads or writes, or names of presets. `force` does not overwrite
        these, because a run needs all of its files. None stands for a file that is not given.
    option : str
        Option that sets the path, such as "--voltages FILE", for the message.
    """
    path = Path(path)
    elsewhere = f"Write elsewhere with {option}" if option else "Write elsewhere (see --help)"
    ways = f"{elsewhere}, or overwrite it with --force."
    if _is_special(path):
        return
    real = os.path.realpath(path)  # of links in a circle, Path.resolve raises
    if any(real == os.path.realpath(other) for other in others if other is not None):
        raise NotOverwritten(
            f"{path} would replace a file that this run reads or writes: choose another folder or "
            "file for it (see --help)."
        )
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if (
        not os.access(path if path.exists() else folder, os.W_OK)
        or path.is_dir()
        or not folder.is_dir()
    ):
        raise FileProblem(f"{path} cannot be written")
    _checked[real] = _checksum(path)
    if force or not path.exists():
        return
    if parameters is None:
        raise NotOverwritten(f"{path} exists. {ways}")
    wanted = json.loads(to_json(parameters))
    try:
        content = read_json(path, "JSON")
        stored = content.get("parameters", content)
        shared = wanted.keys() & stored.keys()
    except (FileProblem, AttributeError):
        shared = set()
    if not shared:
        raise NotOverwritten(f"{path} exists and was not written by this script. {ways}")
    changed = differences(stored, wanted)
    if changed:
        raise NotOverwritten(
            f"{path} was made with other parameters: "
            f"{', '.join(changed[:3])}{' and more' * (len(changed) > 3)}. {ways}"
        )


def differences(stored: Values, wanted: Values, prefix: str = "") -> list[str]:
    """Return a text for each parameter whose values in `wanted` and `stored` differ: its name, with
    `prefix` in front, and both values.

    A parameter that is missing in `stored` does not count, because it is newer than the file. A
    missing group of parameters counts.
    """
    changes = []
    for key, value in wanted.items():
        before = stored.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            changes += differences(before, value, f"{prefix}{key}.")
        elif before != value and (key in stored or isinstance(value, Mapping)):
            changes.append(f"{prefix}{key} ({_short(before)} there, {_short(value)} now)")
    return changes


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def checkpoint_path(path: str | Path) -> Path:
    """Return the path of the checkpoint of a run whose result goes to `path`."""
    return Path(f"{path}.checkpoint")


def save_checkpoint(path: Path, progress: Values, parameters: Values) -> None:
    """Write `progress` (arrays and numbers by name) and the parameters of its run to a compressed
    NumPy file.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **progress, parameters=to_json(parameters))
    write_file(path, buffer.getvalue())


def load_checkpoint(path: Path, parameters: Values, start: Values) -> Fields:
    """Return the progress that `save_checkpoint` wrote, as arrays by name. Raises FileProblem for a
    file that is missing, damaged, of other parameters, or without the entries of `start`, the
    progress of a run that starts (`restored_progress`).
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            progress = {name: arrays[name] for name in arrays.files}
        stored = json.loads(str(progress.pop("parameters")))
        changed = differences(stored, json.loads(to_json(parameters)))
    except (
        *(OSError, ValueError, KeyError, EOFError, AttributeError, RecursionError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise FileProblem(f"{path} is not a usable checkpoint: {error}") from error
    if changed:
        raise FileProblem(
            f"{path} was made with other parameters: {', '.join(changed)}; leave --resume out to "
            "start afresh"
        )
    restored_progress(progress, start, path)
    return progress


def resumed(
    path: Path,
    parameters: Values,
    resume: bool,
    force: bool,
    start: Values | None = None,
) -> Fields | None:
    """Return the progress to resume from, or None for a run that starts afresh. `start`: entries
    that the checkpoint must have, with their values at the start of a run.

    Raises FileProblem if `resume` finds no usable checkpoint, NotOverwritten if a checkpoint exists
    and neither `resume` nor `force` is given.
    """
    check_checkpoint(path, resume, force)
    return load_checkpoint(path, parameters, start or {}) if resume else None


def check_checkpoint(path: Path, resume: bool, force: bool) -> None:
    """Raise FileProblem if `resume` finds no checkpoint, NotOverwritten if a checkpoint exists and
    neither `resume` nor `force` is given.
    """
    if resume and not path.exists():
        raise FileProblem(f"{path} does not exist; leave --resume out to start afresh")
    if path.exists() and not (resume or force):
        raise NotOverwritten(
            f"{path} exists: use --resume to go on from it, or --force to start afresh."
        )


@contextmanager
def checkpoint_at_interrupt(
    path: Path, progress: Callable[[], Values], parameters: Values
) -> Iterator[None]:
    """Save a checkpoint if the block ends early, by Ctrl-C or by an error. The function `progress`
    then returns what to save. A further Ctrl-C waits until the file is written.
    """
    try:
        yield
    except BaseException:
        with signals_deferred():
            save_checkpoint(path, progress(), parameters)
            report(f"saved {path}; go on with --resume")
        raise


if TYPE_CHECKING:
    import pandas as pd

    from memristive.network.chip import Chip

PACKAGES = ("PySpice", "numpy", "scipy", "scikit-learn", "pillow")


def versions(ngspice: bool) -> Fields:
    """Return the versions of the packages that a result depends on, and the version of ngspice if
    `ngspice` is True.
    """
    known: Fields = {"ngspice": NgspiceSession().version} if ngspice else {}
    return known | {name: version(name) for name in PACKAGES}


def describe(setup: Setup, chip: "Chip | None" = None) -> Fields:
    """Return the parameters of a run as plain numbers, for records and voltages files.

    "chip" is None for an ideal chip. For two-terminal devices there is also "array", with the
    content of the device file, which names the SPICE model.
    """
    array = setup.array
    content = {
        "network": setup.parameters.as_dict(),
        "schedule": dataclasses.asdict(setup.schedule),
        "chip": chip.as_dict() if chip else None,
    }
    if array:
        from memristive.devices.measured_device import device_record  # emulators need none

        content["array"] = {
            "scheme": array.scheme,
            "pulses": array.pulses,
            "device": device_record(array.device),
        }
    return content


def load_results(path: str | Path) -> Fields:
    """Return the content of a record. Raises FileProblem if it cannot be read."""
    return read_json(path, "results of this project")


def load_table(path: str | Path) -> "pd.DataFrame":
    """Return the rows of a record as a tidy table, e.g.
    ``load_table("results/chips/imperfect_chips.json")``. Raises FileProblem if it cannot be read.

    A record without rows gives a table of one row: its numbers.
    """
    import pandas as pd  # here: the import takes half a second

    record = load_results(path)
    return pd.DataFrame(record["rows"]) if "rows" in record else pd.json_normalize(record)


def save_decisions(
    path: str | Path,
    labels: np.ndarray,
    spikes: np.ndarray,
    resolution: float,
    schedule: Schedule | None = None,
) -> None:
    """Write the decisions as a CSV table compressed by gzip, one line for each image, and print the
    path.

    Columns are image, label, decision, lead_us, and the first spike times of all neurons in us. A
    lead is empty if fewer than two neurons fired.

    Parameters
    ----------
    path : path
    labels : array, images
    spikes : array, images x classes, s
        nan for silent neurons.
    resolution : float
        Leads up to this time, in s, are ties.
    schedule : Schedule, optional
        Adds a column with the decision by the paper's rule, which samples outputs with this
        schedule's step.
    """
    import pandas as pd  # here: the import takes half a second

    names = [str(k) for k in range(spikes.shape[1])]
    strict, paper = decide(spikes, resolution, schedule.sampling_step if schedule else None)
    columns = {
        "image": np.arange(len(labels)),
        "label": labels,
        "decision": [decision_name(d, names) for d in strict],
    }
    if schedule:
        columns["paper_decision"] = paper
    columns["lead_us"] = np.array([lead(times) for times in spikes]) * 1e6
    columns |= {f"spike_{name}_us": spikes[:, k] * 1e6 for k, name in enumerate(names)}
    table = pd.DataFrame(columns).replace([np.inf], np.nan)
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    # without the time, equal runs write equal bytes
    write_file(path, gzip.compress(text.encode(), mtime=0))
    report(f"wrote {path}")


def load_decisions(path: str | Path) -> "pd.DataFrame":
    """Return the table of decisions that `save_decisions` wrote, a row for each image."""
    import pandas as pd

    return pd.read_csv(path, dtype={"decision": str})
