"""Results as JSON records: numbers with all parameters, the seed and the versions that made them."""

import dataclasses
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memristive.devices.measured_device import device_record
from memristive.io.files import read_json, report, to_json, write_file
from memristive.network.setup import Setup
from memristive.spice.session import NgspiceSession

if TYPE_CHECKING:
    import pandas as pd

    from memristive.network.chip import Chip

PACKAGES = ("PySpice", "numpy", "scipy", "scikit-learn", "pillow")


def versions(ngspice: bool) -> dict[str, Any]:
    """Return the versions of the packages that a result depends on, and that of ngspice if `ngspice` had a part in it."""
    found: dict[str, Any] = {"ngspice": NgspiceSession().version} if ngspice else {}
    return found | {name: version(name) for name in PACKAGES}


def describe(setup: Setup, chip: "Chip | None" = None) -> dict[str, Any]:
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
    from memristive.io.checkpoints import checkpoint_path  # here: most scripts have no checkpoint

    checkpoint_path(path).unlink(missing_ok=True)
    report(f"wrote {path}")


def load_results(path: str | Path) -> dict[str, Any]:
    """Return a record. Raises FileProblem."""
    return read_json(path, "results of this project")


def load_table(path: str | Path) -> "pd.DataFrame":
    """Return the rows of a record as a tidy table, e.g. ``load_table("results/imperfect_chips.json")``. Raises FileProblem.

    A record without rows gives a table of one row: its numbers.
    """
    import pandas as pd  # here: the import takes half a second

    record = load_results(path)
    return pd.DataFrame(record["rows"]) if "rows" in record else pd.json_normalize(record)
