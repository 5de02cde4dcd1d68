"""Evidence for docs/writes_late.md: why rounded writes lose, and when late writes pay.

Why do rounded writes lose, and when do late writes pay? A factorial of three ways to write a dose
that is a fraction of a pulse, with and without the noises of the device, each with two settings.

Ways: *rounded* at random to whole pulses; pulses of *any width*, which need no rounding; *late*,
behind a poor capacitor. Settings are those that `memristive.learning.build` chooses for rounded
writes and for late writes. A third factor separates two mechanisms: a device whose steps do not
depend on its state has the same mean step, but does not forget. All networks of a set of data have
one layer of one pair, and the same number of presentations. Data: MNIST (grey 10x10), MNIST with
few presentations, scikit-learn's digits, and the tables iris and wine, of which a third is held
out.

Closed form, strict accuracy on test images. Writes results/devices/late_factorial_DATA.json in a
quarter of an hour on two cores (MNIST). Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from memristive.cli.runs import learned
from memristive.cli.script import Record, add_resume, make_parser, run
from memristive.datasets import Images, matching_dataset
from memristive.devices.measured_device import (
    DEVICES,
    MeasuredDevice,
    device_record,
    emulator,
    load_device,
)
from memristive.learning.build import initial_network
from memristive.learning.settings import learning_of, measured_pulses, with_late_doses
from memristive.scores.decisions import score_row
from memristive.writing.late import late_settings

ROUNDED, ANY_WIDTH, LATE = WAYS = ("rounded", "any width", "late")
SHORT = "mnist-short"
# presentations of each set of data
DATA = {"mnist": 100_000, SHORT: 3_000, "digits": 60_000, "iris": 4_000, "wine": 4_000}
TABLES = ("iris", "wine")
PER_SEED = 4  # networks of a table for each seed, because few samples are held out


@dataclass(frozen=True)
class Case:
    """A network to be trained and tested.

    Parameters
    ----------
    data : str
        Key of `DATA`.
    device : str
        Name of a preset.
    flat : bool
        Replace the steps of the device by their mean, so that they do not depend on its state.
    settings : str
        `ROUNDED` or `LATE`: gain, biases, doses and margins are those of this way of writing.
    noise : bool
        Include the noises of writes and reads.
    way : str
        One of `WAYS`.
    seed : int
    presentations : int
    """

    data: str
    device: str
    flat: bool
    settings: str
    noise: bool
    way: str
    seed: int
    presentations: int

    def result(self) -> dict[str, Any]:
        """Train and test the network; return its accuracy and the pulses of a cell as a row."""
        images, labels, test_images, test_labels = split(self.data, self.seed)
        device = load_device(self.device)
        made, rule = learning_of(device, 1, 1, late=self.settings == LATE)
        used = flattened(device) if self.flat else device
        design, _ = learning_of(used, 1, 1)
        made["design"] = dataclasses.replace(
            made["design"],
            reference_state=design["design"].reference_state,
            stage_swing=design["design"].stage_swing,
        )
        made["parameters"] = design["parameters"]
        pulses = measured_pulses(emulator(used), self.way != ANY_WIDTH, self.noise)
        if self.way == LATE:
            pulses = dataclasses.replace(pulses, **late_settings(used))
        rule = dataclasses.replace(rule, presentations=self.presentations, seed=self.seed)
        if self.settings == LATE:
            rule = with_late_doses(rule)
        made["pulses"] = pulses
        network = initial_network((), int(labels.max()) + 1, images, rule, **made)
        network, counts = learned(network, rule, Images(images, labels))
        spikes = network.first_spikes(test_images)
        return {
            **dataclasses.asdict(self),
            "strict_accuracy": score_row(test_labels, spikes)["strict_accuracy"],
            "pulses_per_cell": float(counts.pulses[0].sum(axis=0).mean()),
        }


def flattened(device: MeasuredDevice) -> MeasuredDevice:
    """Return the device with steps that do not depend on its state, of the same mean."""
    step = device.mean_step
    return dataclasses.replace(device, up=(step, step), down=(step, step))


@functools.lru_cache(maxsize=8)
def split(data: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images and labels, and test images and labels. Tables have a row and a
    complementary row for each feature, as in MemristiveClassifier.
    """
    if data not in TABLES:
        dataset = matching_dataset(data.split("-")[0], seed=seed)
        return (*dataset.training, *dataset.test)
    from sklearn import datasets as tables
    from sklearn.model_selection import train_test_split

    from memristive.classifier.feature_encoding import FeatureEncoding

    features, labels = getattr(tables, f"load_{data}")(return_X_y=True)
    training, test, y, test_y = train_test_split(
        features, labels, test_size=1 / 3, stratify=labels, random_state=seed
    )
    encoding = FeatureEncoding.of(training)
    return encoding.levels(training), y, encoding.levels(test), test_y


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, save, print. Flat steps are tried with the settings of rounded writes."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_common("--seeds", 5)
    parser.add_argument("--data", choices=DATA, default="mnist", help="default: mnist")
    options = parser.parse_args(arguments)
    seeds = options.seeds * (PER_SEED if options.data in TABLES else 1)
    cases = [
        Case(options.data, device, flat, settings, noise, way, seed, DATA[options.data])
        for seed, device in itertools.product(range(1, seeds + 1), DEVICES)
        for flat, settings in ((False, ROUNDED), (False, LATE), (True, ROUNDED))
        for noise, way in itertools.product((True, False), WAYS)
    ]
    record = Record(
        options,
        f"late_factorial_{options.data}",
        {
            "devices": {name: device_record(load_device(name)) for name in DEVICES},
            "seeds": options.seeds,
            "data": options.data,
        },
    )
    rows = record.run_tasks(Case.result, cases)
    record.write({"rows": rows}, ngspice=False)
    factors = ["device", "flat", "settings", "noise", "way"]
    columns = ["strict_accuracy", "pulses_per_cell"]
    means = pd.DataFrame(rows).groupby(factors, sort=False)[columns].mean()
    print(means.to_string(float_format="{:.4g}".format))


if __name__ == "__main__":
    run(main)
