"""Four ways to write a dose that is a fraction of a pulse, with each preset.

- rounded: the fraction becomes a whole pulse or none, at random.
- Manhattan: each error gives one pulse to each row whose input is above half, whatever the dose.
- remainder: a digital memory for each synapse keeps the fraction, exactly and forever.
- late: a poor capacitor keeps the fraction until a pulse is due (docs/writes_late.md).

One layer and two layers of one pair learn MNIST. Closed form, strict accuracy on all test images.
Writes results/devices/late_ways.json in half an hour on two cores. Ctrl-C saves a checkpoint for
--resume.
"""

from typing import Any

import pandas as pd

from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.devices.measured_device import DEVICES, device_record, load_device
from memristive.learning.build import LATE_DOSE
from memristive.writing.late import late_settings
from studies.device_learning import DeviceRun
from studies.late_poverty import ChangedRun, print_means

ROUNDED, MANHATTAN, REMAINDER, LATE = "rounded", "Manhattan", "remainder", "late"
WAYS = (ROUNDED, MANHATTAN, REMAINDER, LATE)

# The size of a dose means nothing to the Manhattan rule: it does not fall. The margin is the best
# of four on held-out images.
UNFALLING = {"final_dose": 1.0, "margin": 60e-6}


def changes(way: str, device: str) -> dict[str, Any]:
    """Return the fields of `PulseWrites`, with values, by which a `way` of writing differs from
    late writes, for the preset `device`. The result is empty for late writes, and for rounded
    writes, which use none of the fields of late writes.
    """
    exact = {"late_forget": 0.0, "late_spread": 0.0}
    if way == REMAINDER:
        return exact | {"late_keeps": 1}
    if way == MANHATTAN:
        # due by a single input above half, and what is left is forgotten with the presentation
        half = LATE_DOSE * late_settings(load_device(device))["late"] / 2
        return exact | {"late_forget": 1.0, "late": half, "late_pulses": 1}
    return {}


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 5, "of one layer; default: 5")
    parser.add_number("--deep-seeds", 0, 100, 3, "of two layers")
    options = parser.parse_args(arguments)
    runs = [
        ChangedRun(
            DeviceRun(device, layers, seed=seed, late=way != ROUNDED),
            "way",
            way,
            changes(way, device),
            UNFALLING if way == MANHATTAN else {},
        )
        for layers, seeds in ((1, options.seeds), (2, options.deep_seeds))
        for device in DEVICES
        for seed in range(1, seeds + 1)
        for way in WAYS
    ]
    record = Record(
        options,
        "late_ways",
        {
            "devices": {name: device_record(load_device(name)) for name in DEVICES},
            "seeds": [options.seeds, options.deep_seeds],
        },
    )
    rows = record.run_tasks(ChangedRun.result, runs, [one.run.layers**2 for one in runs])
    record.write({"rows": rows}, ngspice=False)
    print_means(pd.DataFrame(rows))


if __name__ == "__main__":
    run(main)
