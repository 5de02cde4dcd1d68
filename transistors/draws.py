"""Do the sizes of the circuit of transistors suit other images as well? Accuracies on draws, of
which only some chose the sizes (docs/transistors.md).

A draw is a choice of 24 training and 100 validation images of each class, from MNIST's training
images without those of the contest. A random search with the law (transistors/law.py) changed sizes
and kept a change if the mean accuracy of eight draws did not fall. This study measures the chosen
sizes on these draws and on eight others, and writes results/transistors/transistor_draws.json. It
takes a minute.
"""

from typing import Any

import numpy as np

from memristive.cli.script import Record, make_parser, print_rows, run
from memristive.datasets import load_mnist
from memristive.progress import progress
from transistors.circuit import PRESETS
from transistors.images import LABELS, PASSES, drawn_images
from transistors.law import Law

DRAWS, HELD_OUT = range(8), range(100, 108)


def main(arguments: list[str] | None = None) -> None:
    """Train and test by the law on all draws, record, print."""
    options = make_parser(__doc__, "transistors", parameters=False).parse_args(arguments)
    record = Record(
        options,
        "transistor_draws",
        {
            "passes": PASSES,
            "draws_of_search": list(DRAWS),
            "draws_held_out": list(HELD_OUT),
            "learners": {name: learner.as_dict() for name, learner in PRESETS.items()},
        },
    )
    mnist, rows = load_mnist(), list[dict[str, Any]]()
    cases = [
        (name, part, draws)
        for name in PRESETS
        if name != "xpue"
        for part, draws in (("of the search", DRAWS), ("held out", HELD_OUT))
    ]
    for name, part, draws in progress(cases, len(cases), "law", "circuit"):
        task, found = name.removesuffix("_chips"), []
        law = Law(PRESETS[name], LABELS[task])
        for seed in draws:
            images = drawn_images(task, mnist, seed)
            decided = law.decided(law.train(*images.lessons(PASSES, seed)), images.test)
            found.append(float(np.mean(decided == images.test_labels)))
        mean, deviation = float(np.mean(found)), float(np.std(found, ddof=1))
        rows.append({"circuit": name, "draws": part, "mean": mean, "deviation": deviation})
    record.write({"rows": rows}, ngspice=False)
    print_rows(rows)


if __name__ == "__main__":
    run(main)
