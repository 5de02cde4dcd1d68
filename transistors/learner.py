"""Does a circuit of transistors alone learn from its errors? One ngspice transient trains and tests
it (docs/transistors.md).

--task mnist10 and mnist017 follow the public contest mnist4-circuit-learning-v0: 16 pixels, 24
training images of a class, 20 passes, then 50 test images of a class. --task xpue learns the four
symbols from six passes, and --patterns FILE learns your own: a text file with a line for each
pattern, its rows of pixels and then its name (101 010 101 X). The circuit reads, compares and
writes its own weights; Python only writes the netlist, and scores the outputs afterwards.

Writes results/transistors/transistor_TASK.json and figures/transistor_TASK_weights.png. For own
patterns the name of their file stands for TASK. mnist10 takes 10 minutes of computing time,
mnist017 one minute, xpue seconds. --netlist writes the circuit: for a contest task as the contest
wants it, for patterns as a netlist that `ngspice -b` runs alone.
"""

from pathlib import Path

import numpy as np

from memristive import plotting
from memristive.cli.script import (
    Record,
    apply_settings,
    keep_apart,
    make_parser,
    run,
)
from memristive.datasets import load_mnist, own_patterns, xpue
from memristive.io.records import report
from transistors.circuit import PRESETS, SLOT, netlist
from transistors.transient import (
    STEP,
    Transient,
    batch_netlist,
    deck,
    orders,
    pattern_transient,
    predictions,
    sampled,
    score,
    simulate,
)

LABELS = {"mnist10": tuple(range(10)), "mnist017": (0, 1, 7)}
TRAIN, TEST = 24, 50  # images of each class in the contest
PASSES = 20  # over the training images, in the contest


def main(arguments: list[str] | None = None) -> None:
    """Train and test one circuit in ngspice, record, plot."""
    parser = make_parser(__doc__, "transistors", netlist=True)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--task", choices=[*LABELS, "xpue"], default="mnist017", help="images (default: mnist017)"
    )
    source.add_argument(
        "--patterns", type=Path, metavar="FILE", help="your own patterns, as text (see above)"
    )
    options = parser.parse_args(arguments)
    keep_apart(options, options.patterns)
    drawn = (
        own_patterns(options.patterns)
        if options.patterns
        else xpue()
        if options.task == "xpue"
        else None
    )
    task = drawn.name if drawn else options.task
    (learner,) = apply_settings(options, learner=PRESETS["xpue" if drawn else task])

    # 1. Images and circuit.
    if drawn:
        transient, labels = pattern_transient(drawn.patterns), np.arange(len(drawn.labels))
        names, shape = drawn.labels, drawn.shape
    else:
        transient, labels = contest(task)
        names, shape = tuple(map(str, LABELS[task])), (4, 4)
    classes = LABELS.get(task, range(len(names)))
    circuit = netlist(learner, classes, transient.inputs)
    parameters = {"task": task, "step_s": STEP, "learner": learner.as_dict()}
    if drawn and options.patterns:
        parameters["patterns"] = dict(zip(drawn.labels, drawn.patterns, strict=True))
    record = Record(options, f"transistor_{task}", parameters, [options.patterns])
    record.write_netlist(
        lambda: batch_netlist(learner, drawn.patterns, drawn.labels) if drawn else circuit
    )

    # 2. ngspice: one transient, start-up, training and test.
    cells = [f"n_w{c}_{i}" for c in classes for i in range(transient.inputs)]
    report(f"ngspice shows {len(transient.images):,} images to the circuit")
    trace = simulate(deck(circuit, transient, save=cells), transient.stop)
    results = score(trace, transient, labels)
    if drawn:
        before = predictions(trace, transient, labels)
        results["recognised_before"] = int(np.sum(before == labels))
        print(f"recognised before learning: {results['recognised_before']}")
    record.write(results)
    print(
        f"{results['correct']} of {results['images']} correct, {results['tied']} tied, "
        f"{results['inference_J_per_image'] * 1e9:.3g} nJ an image"
    )

    # 3. Plot the weights after the training, without the complements of patterns.
    trained = transient.begins[transient.learning][-1] + SLOT - 1e-7
    weights = np.array([sampled(trace, f"v(xlearner.{cell})", trained) for cell in cells])
    pixels = weights.reshape(len(names), -1)[:, : shape[0] * shape[1]]
    record.plot(plotting.weight_images(pixels, shape, names, "weight (V)"), "weights")


def contest_images(task: str) -> list[np.ndarray]:
    """Return the contest's images and labels of a `task` (a key of `LABELS`): of the training, then
    of the test.
    """
    mnist, rng = load_mnist(), np.random.default_rng(0)
    parts = list[np.ndarray]()
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = mnist[f"y_{split}"]
        chosen = rng.permutation(
            np.concatenate(
                [rng.permutation(np.flatnonzero(labels == c))[:count] for c in LABELS[task]]
            )
        )
        parts += [small_images(mnist[f"x_{split}"][chosen]), labels[chosen].astype("<i8")]
    return parts


def contest(task: str) -> tuple[Transient, np.ndarray]:
    """Return the contest's transient of a `task`, and the labels of its test images."""
    train, taught, test, labels = contest_images(task)
    first, rng = orders(len(train), PASSES)
    second = rng.permutation(len(test))
    images = np.vstack([train[first], test[second]])
    taught = np.r_[taught[first], np.full(len(second), -1)]
    return Transient(images, taught, np.arange(len(images)) < len(first)), labels[second]


def small_images(pixels: np.ndarray) -> np.ndarray:
    """Return `pixels` (n x 28 x 28, bytes) as n x 16 block means. Each image is scaled to a mean of
    0.5 and a standard deviation of 0.25, and then cut to 0 to 1.
    """
    blocks = (pixels.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)) / 255).reshape(-1, 16)
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    return np.clip(centred / (blocks.std(axis=1, keepdims=True) + 1e-6) * 0.25 + 0.5, 0, 1)


if __name__ == "__main__":
    run(main)
