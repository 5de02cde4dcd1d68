"""Which sizes should the circuit of transistors have? A random search on images that are not the
contest's.

A draw is a choice of 24 training and 100 validation images of each class, from MNIST's training
images without those of the contest. The search changes sizes at random, and keeps a change if the
mean accuracy of eight draws does not fall. The law, the model in transistors/law.py, computes the
accuracies. --spread 5e-3 searches on chips whose thresholds differ. With --minutes 0 (default)
nothing is searched: the study measures the committed sizes on the draws of the search and on eight
others, and writes results/transistors/transistor_search.json. It takes a minute.
"""

import dataclasses
import json
import time
from typing import Any

import numpy as np

from memristive.cli.script import Record, make_parser, print_rows, progress, run
from memristive.datasets import load_mnist
from memristive.parameters import ParameterError
from transistors.circuit import (
    BIAS,
    GAINS,
    PRESETS,
    SMALLEST,
    LearnerParameters,
    draw_thresholds,
    margin_gain,
    netlist,
)
from transistors.images import LABELS, PASSES, Split, drawn_images
from transistors.law import Law

DRAWS, HELD_OUT = range(8), range(100, 108)
FACTORS = {
    "load": 0.2,
    "window": 0.2,
    "margin": 0.25,
    "step": 0.25,
    "charge_overdrive": 0.08,
    "discharge_overdrive": 0.08,
    # standard deviation of a change in decades
    "charge_swing": 0.25,
    "discharge_swing": 0.25,
    "anneal_time": 0.2,
}
# deviation of a change, lowest and highest value
SHARES = {"anneal_floor": (0.05, 0.4, 0.95), "balance": (0.1, 0.0, 0.9)}
RAILS = ("vbias", "vweight", "voffset")
CHIP = 200  # first seed of the chips on which the search runs


def main(arguments: list[str] | None = None) -> None:
    """Search for better sizes, or measure the committed ones."""
    parser = make_parser(__doc__, "transistors", parameters=False)
    parser.add_argument(
        "--task",
        choices=list(LABELS),
        default="mnist017",
        help="classes of the search (default: mnist017)",
    )
    parser.add_argument(
        "--spread",
        type=float,
        default=0.0,
        metavar="V",
        help="spread of the thresholds (default: 0)",
    )
    parser.add_number("--minutes", 0, 10_000, 0, "duration of the search")
    parser.add_number("--seed", 0, 2**32 - 1, 1, "seed of the search")
    options = parser.parse_args(arguments)
    mnist = load_mnist()
    if options.minutes:
        images = [drawn_images(options.task, mnist, seed) for seed in DRAWS]
        start = PRESETS[options.task + "_chips" * bool(options.spread)]
        search(
            start,
            options.task,
            images,
            options.spread,
            options.minutes * 60,
            np.random.default_rng(options.seed),
        )
        return

    record = Record(
        options,
        "transistor_search",
        {
            "passes": PASSES,
            "draws_of_search": list(DRAWS),
            "draws_held_out": list(HELD_OUT),
            "learners": {name: learner.as_dict() for name, learner in PRESETS.items()},
        },
    )
    rows: list[dict[str, Any]] = []
    cases = [
        (name, part, draws)
        for name in PRESETS
        if name != "xpue"
        for part, draws in (("of the search", DRAWS), ("held out", HELD_OUT))
    ]
    for name, part, draws in progress(cases, len(cases), "law", "circuit"):
        task = name.removesuffix("_chips")
        found = [
            accuracy(PRESETS[name], task, drawn_images(task, mnist, seed), 0.0, seed)
            for seed in draws
        ]
        rows.append(
            {
                "circuit": name,
                "draws": part,
                "mean": float(np.mean(found)),
                "deviation": float(np.std(found, ddof=1)),
            }
        )
    record.write({"rows": rows}, ngspice=False)
    print_rows(rows)


def search(
    sizes: LearnerParameters,
    task: str,
    images: list[Split],
    spread: float,
    seconds: float,
    rng: np.random.Generator,
) -> LearnerParameters:
    """Search for some `seconds`; return the best sizes of transistors, and print each improvement.

    `images` has one entry for each draw. `spread` is the standard deviation of the chips'
    thresholds in V.
    """
    begin, best = (
        time.monotonic(),
        np.array([accuracy(sizes, task, one, spread, k) for k, one in enumerate(images)]),
    )
    while time.monotonic() - begin < seconds:
        changed = change(sizes, task, images[0], rng)
        if changed is None:
            continue
        found: list[float] = []
        for k, one in enumerate(images):
            found.append(accuracy(changed, task, one, spread, k))
            if np.mean(found) < np.mean(best[: k + 1]) - 0.04:  # hopeless: spare the other draws
                break
        if len(found) == len(images) and np.mean(found) >= best.mean():
            if np.mean(found) > best.mean():
                print(
                    f"{np.mean(found):.2%} after {time.monotonic() - begin:.0f} s: "
                    f"{json.dumps(changed.as_dict())}"
                )
            sizes, best = changed, np.array(found)
    return sizes


def change(
    sizes: LearnerParameters, task: str, images: Split, rng: np.random.Generator
) -> LearnerParameters | None:
    """Return sizes of transistors with one to four random changes; None if the circuit cannot work
    with them.
    """
    new: dict[str, Any] = {}
    for name in rng.choice(
        [*FACTORS, *SHARES, "charge_rail", "discharge_rail", "start_rail"],
        rng.integers(1, 5),
        replace=False,
    ):
        if name in FACTORS:
            new[name] = float(getattr(sizes, name) * 10 ** rng.normal(0, FACTORS[name]))
        elif name in SHARES:
            deviation, low, high = SHARES[name]
            new[name] = float(np.clip(getattr(sizes, name) + rng.normal(0, deviation), low, high))
        else:
            new[name] = str(rng.choice(RAILS))
    try:
        changed = dataclasses.replace(sizes, **new)
        law = Law(changed, LABELS[task])
        if changed.balance:  # the balance holds the mean score where it begins
            level = float(law.scores(law.start(), images.train).mean()) - 0.008
            changed = dataclasses.replace(changed, level=level)
    except ParameterError:
        return None
    low, high = law.line_range()
    on = BIAS[changed.charge_rail] + 0.5  # V, at which a charging transistor opens towards its line
    longest = GAINS["syn"] / margin_gain(changed) * SMALLEST if changed.margin else 0.0
    fits = (
        low > 0.5
        and high < 2.72
        and BIAS[changed.start_rail] < on - 0.1
        and changed.window > 5e-3
        and longest < 1e-2
    )
    return changed if fits else None


def accuracy(sizes: LearnerParameters, task: str, images: Split, spread: float, seed: int) -> float:
    """Return the share of validation images that a chip, whose thresholds have a `spread` in V,
    recognises after training. `seed` is that of the chip and of the order of the images.
    """
    law = Law(
        sizes,
        LABELS[task],
        thresholds=draw_thresholds(netlist(sizes, LABELS[task]), CHIP + seed, spread),
    )
    return float(
        np.mean(
            law.decided(law.train(*images.lessons(PASSES, seed)), images.test) == images.test_labels
        )
    )


if __name__ == "__main__":
    run(main)
