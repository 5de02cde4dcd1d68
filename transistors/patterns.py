"""Small patterns such as XPUE for the circuit of transistors that learns: their images, schedule, and netlist for ngspice."""

import functools
from collections.abc import Sequence

import numpy as np

from transistors.circuit import SLOT, LearnerParameters, netlist
from transistors.harness import READ_AT
from transistors.schedule import KLU, Images, Schedule, deck, presentation_order

PATTERN_PASSES = 6  # presentations of each pattern
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def pattern_images(patterns: np.ndarray) -> Images:
    """Return training images that hold each pattern and, beside it, its complement; the test images are the same.

    So all images have the same sum. The circuit's score is a mean of its inputs, weighted by conductances. Only with equal sums
    does a conductance above or below the mean of its column act as a signed weight.
    """
    both, labels = np.hstack([patterns, 1 - patterns]), np.arange(len(patterns))
    return Images(both, labels, both, labels)


def pattern_schedule(images: Images) -> tuple[Schedule, np.ndarray]:
    """Return a schedule that tests all images, learns them in several passes and tests them again, and the images' numbers."""
    order, count = presentation_order(images, PATTERN_PASSES)[0], len(images.train)
    shown = np.concatenate([np.arange(count), order, np.arange(count)])
    learning = np.r_[np.zeros(count, bool), np.ones(len(order), bool), np.zeros(count, bool)]
    schedule = Schedule(images.train[shown], np.where(learning, shown, -1), learning, classes=count)
    return schedule, np.arange(count)


def batch_netlist(parameters: LearnerParameters, images: Images, labels: Sequence[str]) -> str:
    """Return a netlist for `ngspice -b` alone: it learns patterns and prints which it recognises before and after.

    Parameters
    ----------
    parameters : LearnerParameters
    images : Images
        From `pattern_images`.
    labels : sequence of str
        Names of the patterns, two or more.
    """
    schedule, _ = pattern_schedule(images)
    count = len(labels)
    text = deck(netlist(parameters, range(count), schedule.inputs), schedule)
    text = text.replace(f" {KLU}\n", "\n", 1)  # older versions of ngspice do not know it
    title = f".title transistors that learn {COUNTS.get(count, count)} patterns from their errors"
    text = text.replace("learner of transistors", title, 1)
    lines = [".control", "run"]
    tests = np.flatnonzero(~schedule.learning)
    for title, part in (("Before learning:", tests[:count]), ("After learning:", tests[count:])):
        lines += ["echo", f"echo {title}"]
        for pattern, slot in enumerate(part):
            at = schedule.begins[slot] + READ_AT * SLOT
            lines += [f"meas tran score{c} find v(out{c}) at={at:.9g}" for c in range(count)]
            others = [f"score{c}" for c in range(count) if c != pattern]
            highest = functools.reduce(lambda a, b: f"max({a}, {b})", others)
            lines += [f"let lead = score{pattern} - {highest}",
                      "let millivolts = floor(1e5*lead + 0.5)/100", "if lead > 1e-6",
                      f"echo {labels[pattern]} is recognised: its score leads by $&millivolts mV", "else",
                      f"echo {labels[pattern]} is not recognised", "end"]
    return text.removesuffix(".end\n") + "\n".join([*lines, "quit 0", ".endc", ".end", ""])
