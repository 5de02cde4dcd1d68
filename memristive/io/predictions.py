"""Decisions of a test, image by image, as compressed CSV."""

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memristive.io.files import report, write_file
from memristive.network.scores import decide, decision_name
from memristive.network.setup import Schedule
from memristive.network.spike_decoding import lead

if TYPE_CHECKING:
    import pandas as pd


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
