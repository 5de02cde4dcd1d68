"""Do the settings that follow from a device's curves suit the device? A test on held-out images of
MNIST.

Trains networks of all presets and of five synthetic devices with the settings of
memristive.learning.build. The last 10,000 training images are held out and test the networks.
Presets are trained by whole pulses with their noises, and again by pulses of any width without
noise. Synthetic devices are trained only by pulses of any width. With --late all devices are
trained by whole pulses from synapses that write late, and synthetic ones get the noises of a
filament. With --vary each setting is also halved and doubled, which is how the constants of these
settings were chosen; --device tries other devices, for which nothing was chosen. Prints a table and
writes results/devices/device_settings_LAYERS.json in two minutes (--vary: 15; two layers: ten times
as long). Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from memristive.cli.script import Record, add_resume, keep_apart, make_parser, run, table
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    device_record,
    load_device,
)
from memristive.learning.build import initial_network, learning_of
from memristive.learning.training import learn
from memristive.scores.decisions import score_row
from memristive.writing.late import check_late
from studies.device_learning import HIDDEN_OF, DeviceRun

HELD_OUT = 10_000  # training images, the last ones
X = np.linspace(0, 1, 33)
SHAPES = {
    device.name: device
    for device in (
        MeasuredDevice.straight("equal steps", 100, 100),
        MeasuredDevice.from_law("soft bounds", 100, 100, 0.3, 0.3),
        MeasuredDevice.from_law("accelerating", 100, 100, -0.5, -0.5),
        MeasuredDevice("abrupt increase", up=(0.85, 0.0), down=(0.01, 0.01)),
        MeasuredDevice(
            "bent",
            up=tuple(0.02 * (1 - X) ** 2 + 0.004 * np.sin(np.pi * X)),
            down=tuple(0.03 * X / (0.3 + X)),
        ),
    )
}
# of a filament, as shares of the range; for synthetic devices whose synapses write late
FILAMENT: dict[str, Any] = {"write_noise": 0.02, "read_noise": 0.01}
SETTINGS = ("dose", "gain", "margin", "final_dose")


@dataclass(frozen=True)
class SettingsTrial:
    """Training of one device. `factor` multiplies the setting named `setting`, "" for none.

    A network has one or two `layers`; `pairs` is the number of differential pairs in a synapse (0:
    single cells). Pulses are `whole` or of any width. With `late` synapses wait until a pulse is
    due.
    """

    device: MeasuredDevice
    layers: int
    pairs: int
    whole: bool
    late: bool = False
    setting: str = ""
    factor: float = 1.0


def main(arguments: list[str] | None = None) -> None:
    """Train all devices and print their accuracies."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_argument("--layers", type=int, choices=(1, 2), default=1, help="default: 1")
    parser.add_number("--pairs", 0, 64, 1, "differential pairs of a synapse; 0: single cells")
    parser.add_argument("--vary", action="store_true", help="also halve and double each setting")
    parser.add_argument("--late", action="store_true", help="synapses write late")
    parser.add_common("--device", None, "default: all presets and synthetic devices")
    options = parser.parse_args(arguments)
    keep_apart(options, options.device)
    devices, shapes = list(DEVICES.values()), list(SHAPES.values())
    if options.device:
        devices, shapes = [load_device(options.device)], []
    if options.late:
        for device in devices:
            check_late(device)
        shapes = [dataclasses.replace(device, **FILAMENT) for device in shapes]
    known = [(device, True) for device in devices]
    known += [(device, options.late) for device in (shapes if options.late else devices + shapes)]
    trials = [
        SettingsTrial(device, options.layers, options.pairs, whole, options.late)
        for device, whole in known
    ]
    varied = (
        [(setting, factor) for setting in SETTINGS for factor in (0.5, 2.0)] if options.vary else []
    )
    trials += [
        dataclasses.replace(trial, setting=setting, factor=factor)
        for trial in trials
        for setting, factor in varied
    ]
    record = Record(
        options,
        f"device_settings_{options.layers}"
        + "_late" * options.late
        + (f"_{devices[0].name}" if options.device else ""),
        {
            "devices": [device_record(device) for device, _ in known],
            "layers": options.layers,
            "pairs": options.pairs,
            "vary": options.vary,
        },
    )
    rows = record.run_tasks(evaluate, trials, [1] * len(trials))
    record.write({"rows": rows}, ngspice=False)
    columns = [("", 1.0), *varied]
    found = {
        (row["device"], row["whole"], row["setting"], row["factor"]): row["strict_accuracy"]
        for row in rows
    }
    print(
        table(
            (
                "device",
                "pulses",
                *(f"{name} x {factor:g}" if name else "accuracy" for name, factor in columns),
            ),
            [
                (
                    device.name,
                    "whole" if whole else "any width",
                    *(f"{found[device.name, whole, *column]:.1%}" for column in columns),
                )
                for device, whole in known
            ],
        )
    )


def evaluate(trial: SettingsTrial) -> dict[str, Any]:
    """Train one network, test it on the held-out images, and return its scores as a row. Runs in a
    worker.
    """
    task = DeviceRun(trial.device.name, trial.layers, trial.pairs, trial.whole, late=trial.late)
    made, rule = learning_of(trial.device, trial.layers, trial.pairs, trial.whole, trial.late)
    rule = dataclasses.replace(rule, presentations=min(task.presentations, 200_000))
    if trial.setting == "dose":
        rule = dataclasses.replace(
            rule,
            hidden_dose=trial.factor * rule.hidden_dose,
            output_dose=trial.factor * rule.output_dose,
        )
    elif trial.setting == "gain":
        made["design"] = dataclasses.replace(
            made["design"], transresistance=trial.factor * made["design"].transresistance
        )
    elif trial.setting:
        rule = dataclasses.replace(
            rule, **{trial.setting: trial.factor * getattr(rule, trial.setting)}
        )
    levels, labels = task.dataset.training
    network = initial_network(HIDDEN_OF[trial.layers], 10, levels[:-HELD_OUT], rule, **made)
    varied = f", {trial.setting} x {trial.factor:g}" if trial.setting else ""
    name = f"{trial.device.name}, {'whole pulses' if trial.whole else 'any width'}{varied}"
    network = learn(network, rule, levels[:-HELD_OUT], labels[:-HELD_OUT], name=name).network
    levels, labels = levels[-HELD_OUT:], labels[-HELD_OUT:]
    return {
        "device": trial.device.name,
        "whole": trial.whole,
        "setting": trial.setting,
        "factor": trial.factor,
        **score_row(labels, network.first_spikes(levels)),
    }


if __name__ == "__main__":
    run(main)
