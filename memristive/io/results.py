"""Results as JSON records, with the parameters, seed and versions that made them; decisions of a test as compressed CSV."""

import dataclasses
import gzip
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memristive.devices.measured_device import device_record
from memristive.io.checkpoints import checkpoint_path
from memristive.io.files import read_json, report, to_json, write_file
from memristive.network.chip import Chip
from memristive.network.scores import decide, decision_name
from memristive.network.setup import Schedule, Setup
from memristive.network.spike_decoding import lead
from memristive.spice.session import NgspiceSession

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = ("PySpice", "numpy", "scipy", "scikit-learn", "pillow")


def versions(ngspice: bool) -> dict[str, Any]:
    """Return the versions of the packages that a result depends on, and that of ngspice if `ngspice` had a part in it."""
    found: dict[str, Any] = {"ngspice": NgspiceSession().version} if ngspice else {}
    return found | {name: version(name) for name in PACKAGES}


def describe(setup: Setup, chip: Chip | None = None) -> dict[str, Any]:
    """Return the parameters of a run as plain numbers, for records and voltages files.

    "chip" is None for an ideal chip. For two-terminal devices there is also "array", with the content of the device file, which
    names the SPICE model.
    """
    array = setup.array
    found = {"network": setup.network.as_dict(), "schedule": dataclasses.asdict(setup.schedule),
             "chip": chip.as_dict() if chip else None}
    if array:
        found["array"] = {"scheme": array.scheme, "pulses": array.pulses, "device": device_record(array.device)}
    return found


def write_results(path: str | Path, parameters: Mapping[str, Any], results: Mapping[str, Any], ngspice: bool = True) -> None:
    """Write a record, print its path, and delete the checkpoint of its run.

    Parameters
    ----------
    path : path
    parameters : mapping
        Everything that determines the results.
    results : mapping
        Results; a table is a list of dictionaries called "rows".
    ngspice : bool
        True if ngspice had a part in the results, so that its version is recorded.
    """
    write_file(path, to_json({**results, "parameters": parameters, "versions": versions(ngspice)}))
    checkpoint_path(path).unlink(missing_ok=True)
    report(f"wrote {path}")


def load_results(path: str | Path) -> dict[str, Any]:
    """Return a record. Raises FileProblem."""
    return read_json(path, "results of this project")


def load_table(path: str | Path) -> "pd.DataFrame":
    """Return the rows of a record as a tidy table, e.g. ``load_table("results/chips/imperfect_chips.json")``. Raises FileProblem.

    A record without rows gives a table of one row: its numbers.
    """
    import pandas as pd  # here: the import takes half a second

    record = load_results(path)
    return pd.DataFrame(record["rows"]) if "rows" in record else pd.json_normalize(record)


def save_decisions(path: str | Path, labels: np.ndarray, spikes: np.ndarray, resolution: float,
                   schedule: Schedule | None = None) -> None:
    """Write the decision for each image as a line of a table, and print the path.

    Columns are image, label, decision, lead_us, and the first spike times of all neurons in us.

    Parameters
    ----------
    path : path
    labels : array, images
    spikes : array, images x classes, s
        nan for silent neurons.
    resolution : float
        Smaller leads, in s, are ties.
    schedule : Schedule, optional
        Adds a column with the decision by the paper's rule, which samples outputs with this schedule's step.
    """
    import pandas as pd  # here: the import takes half a second

    names = [str(k) for k in range(spikes.shape[1])]
    strict, paper = decide(spikes, resolution, schedule.sampling_step if schedule else None)
    columns = {"image": np.arange(len(labels)), "label": labels, "decision": [decision_name(d, names) for d in strict]}
    if schedule:
        columns["paper_decision"] = paper
    columns["lead_us"] = np.array([lead(times) for times in spikes]) * 1e6
    columns |= {f"spike_{name}_us": spikes[:, k] * 1e6 for k, name in enumerate(names)}
    table = pd.DataFrame(columns).replace([np.inf], np.nan)
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    write_file(path, gzip.compress(text.encode(), mtime=0), _is_own)  # without the time, equal runs write equal bytes
    report(f"wrote {path}")


def _is_own(content: bytes) -> bool:
    """Return True if these bytes may be decisions that `save_decisions` wrote."""
    try:
        return gzip.decompress(content).startswith(b"image,label,decision")
    except (OSError, EOFError, zlib.error):
        return False


def load_decisions(path: str | Path) -> "pd.DataFrame":
    """Return the table of decisions that `save_decisions` wrote."""
    import pandas as pd

    return pd.read_csv(path, dtype={"decision": str})
