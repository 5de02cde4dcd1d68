"""Evidence for docs/own_model.md: what half-selected cells cost.

Cost of a passive array, in accuracy: writes at V put V/2 on other cells of the same row and
column, and move these cells by the share r of a step.

One layer of differential pairs on MNIST's grey 10x10 images, in closed form: pulses of any width,
strict decisions. First the SPICE models that come with the project, measured in ngspice: with
access switches (r = 0), V/2 and V/3. Then devices with equal steps and with soft bounds, while r
rises from 0 to 0.2. The network learns from 50,000 training images; the dose is chosen on the other
10,000, never on the test images. Writes results/devices/half_select.json and
figures/half_select.png in half an hour on two cores. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import itertools
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.runs import data_of
from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.datasets import matching_dataset
from memristive.devices.characterise import characterise
from memristive.devices.measured_device import MeasuredDevice, emulator
from memristive.devices.spice_model import load_model
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.settings import (
    THIRD,
    measured_design,
    measured_parameters,
    measured_pulses,
)
from memristive.learning.training import learn
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR
from memristive.scores.decisions import score_row

MODELS = ("vteam", "yakopcic", "wox", "memdiode", "molecular")
PRESENTATIONS = 60_000
# mean change by the first write of a full pixel, share of the range
DOSES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
LARGE = 1e-2
SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)  # r
UNEQUAL = 0.8  # r downwards over r upwards
DEVICES = {
    "equal steps": MeasuredDevice("equal steps"),
    "soft bounds": MeasuredDevice("soft bounds", up=(0.02, 0.0), down=(0.0, 0.02)),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure the models, train, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    options = parser.parse_args(arguments)
    sizes = {"shares": SHARES, "presentations": PRESENTATIONS}
    record = Record(options, "half_select", {"models": MODELS, "doses": DOSES, **sizes})

    models = [characterise(load_model(name)).device for name in MODELS]
    cases = [
        (device, scheme)
        for device in models
        for scheme in (ONE_TRANSISTOR, *(HALF, THIRD) * any(disturb(device, HALF)))
    ]
    cases += [
        (dataclasses.replace(device, half_up=r, half_down=ratio * r), HALF)
        for device in DEVICES.values()
        for ratio in (1.0, UNEQUAL)
        for r in SHARES
        if r or ratio == 1.0
    ]
    tasks = [(device, scheme, dose) for device, scheme in cases for dose in DOSES]
    rows = record.run_tasks(evaluate, tasks)
    record.write({"rows": rows})
    found = pd.DataFrame(rows)
    columns = ["device", "scheme", "r_up", "r_down", "dose", "held_out", "strict_accuracy"]
    print(best(found)[columns].to_string(index=False, float_format="{:.4g}".format))
    record.plot(figure(found))


def disturb(device: MeasuredDevice, scheme: str) -> tuple[float, float]:
    """Return r of a device in a `scheme` ("1t1r", "v/2" or "v/3"), upwards and downwards: the step
    of a half-selected cell over a whole step.
    """
    pulses = measured_pulses(emulator(device), scheme=scheme)
    return pulses.disturb_up, pulses.disturb_down


def evaluate(task: tuple[MeasuredDevice, str, float]) -> dict[str, Any]:
    """Train a layer of pairs on all but the held-out images and test it; return its accuracies as a
    row. Cells start where a pulse up and a pulse down cancel (the balance of the device). Runs in a
    worker.

    `task`: device, scheme ("1t1r", "v/2" or "v/3"), and first dose, the change of x of a full
    pixel's cell.
    """
    device, scheme, dose = task
    emulated, (r_up, r_down) = emulator(device), disturb(device, scheme)
    rule = LayeredRule(
        presentations=PRESENTATIONS,
        output_dose=dose * (emulated.high - emulated.low),
        final_dose=0.09,
        margin=3e-6,
        final_margin=0.45,
        start_drive=0.0,
        start_drive_spread=0.0,
    )
    data = data_of("mnist", None, held_out=True)
    network = initial_network(
        (),
        10,
        data.training.levels,
        rule,
        measured_design(emulated, 1, 1.0, output_bias=1.8),
        measured_parameters(emulated),
        measured_pulses(emulated, whole=False, scheme=scheme),
    )
    name = f"{device.name}, {scheme}, r {r_up:.2%}, dose {dose:g}"
    network = learn(network, rule, *data.training, name=name).network
    held_out, found = (
        score_row(images.labels, network.first_spikes(images.levels))
        for images in (data.test, matching_dataset("mnist").test)
    )
    return {
        "device": device.name,
        "scheme": scheme,
        "r_up": r_up,
        "r_down": r_down,
        "dose": dose,
        "held_out": held_out["strict_accuracy"],
        **found,
    }


def best(found: pd.DataFrame) -> pd.DataFrame:
    """Return for each device, scheme and r the row of `found` whose dose gives the best accuracy on
    held-out images.
    """
    return found.loc[
        found.groupby(["device", "scheme", "r_up", "r_down"], sort=False)["held_out"].idxmax()
    ]


def figure(found: pd.DataFrame) -> Figure:
    """Draw accuracy over r: with the dose chosen for each r, and with a large dose."""
    drawn, axes = plt.subplots(1, len(DEVICES), figsize=(plotting.WIDTH, 3.4), sharey=True)
    series = (
        (best(found), "o-", "dose chosen"),
        (found[found.dose == LARGE], "s--", f"dose {LARGE:.0%} of the range"),
    )
    kinds = (
        (1.0, plotting.BLUE, 9, "white", "alike"),
        (UNEQUAL, plotting.VERMILLION, 5, plotting.VERMILLION, f"down {UNEQUAL:g} of up"),
    )
    for axis, name in zip(axes, DEVICES, strict=True):
        for (ratio, colour, size, fill, kind), (rows, style, dose) in itertools.product(
            kinds, series
        ):
            of = rows[(rows.device == name) & np.isclose(rows.r_down, ratio * rows.r_up)]
            look = {"color": colour, "markersize": size, "markerfacecolor": fill}
            label = f"r {kind}, {dose}"
            axis.plot(100 * of.r_up, 100 * of.strict_accuracy, style, label=label, **look)
        axis.set(xlabel="r: step at V/2 over step at V (%)", title=name)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("test accuracy (%)")
    drawn.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8
    )
    return drawn


if __name__ == "__main__":
    run(main)
