"""Does a circuit of transistors alone learn from its errors? One ngspice transient trains and tests
it (docs/transistors.md).

--task mnist10 and mnist017 follow the public contest mnist4-circuit-learning-v0: 16 pixels, 24
training images of a class, 20 passes, then 50 test images of a class. --task xpue learns the four
symbols from six passes, and --patterns FILE learns your own: a text file with a line for each
pattern, its rows of pixels and then its name (101 010 101 X). The circuit reads, compares and
writes its own weights; Python only writes the netlist, and scores the outputs afterwards. The run
is compared with the law, the model of the circuit in transistors/law.py. --step 5e-6 halves the
time step, and --permuted permutes the labels of the contest's training images.

Writes results/transistors/transistor_TASK.json and figures/transistor_TASK_*.png. For own patterns
the name of their file stands for TASK. mnist10 takes 10 minutes of computing time, mnist017 one
minute, xpue seconds. --netlist writes the circuit: for a contest task as the contest wants it, for
patterns as a netlist that `ngspice -b` runs alone.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive import plotting
from memristive.cli.script import (
    Record,
    apply_settings,
    keep_apart,
    make_parser,
    print_rows,
    run,
)
from memristive.datasets import load_mnist, own_patterns, xpue
from memristive.io.records import report
from memristive.plotting import BLUE, WIDTH
from transistors.circuit import PRESETS, SLOT, netlist
from transistors.images import LABELS, PASSES, Split, frozen_images, pattern_images
from transistors.law import Law
from transistors.transient import (
    PATTERN_PASSES,
    STEP,
    Trace,
    Transient,
    batch_netlist,
    contest_transient,
    deck,
    pattern_transient,
    predictions,
    sampled,
    score,
    simulate,
)

ORDERS = range(5)  # seeds of the order of training images, for trainings by the law


def main(arguments: list[str] | None = None) -> None:
    """Train and test one circuit in ngspice, compare with the law, record, plot."""
    parser = make_parser(__doc__, "transistors", netlist=True)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--task", choices=[*LABELS, "xpue"], default="mnist017", help="images (default: mnist017)"
    )
    source.add_argument(
        "--patterns", type=Path, metavar="FILE", help="your own patterns, as text (see above)"
    )
    parser.add_argument(
        "--step",
        type=float,
        default=STEP,
        metavar="S",
        help=f"longest time step in s (default: {STEP:g})",
    )
    parser.add_argument("--permuted", action="store_true", help="permute the labels, as a control")
    options = parser.parse_args(arguments)
    if options.permuted and (options.patterns or options.task == "xpue"):
        parser.error("--permuted needs --task mnist10 or mnist017")
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
    name = (
        f"transistor_{task}" + "_half_step" * (options.step < STEP) + "_permuted" * options.permuted
    )

    # 1. Images and circuit.
    if drawn:
        images = pattern_images(drawn.patterns)
        classes, passes = list(range(len(drawn.labels))), PATTERN_PASSES
        transient, labels = pattern_transient(images), images.test_labels
    else:
        images, classes, passes = frozen_images(task, load_mnist()), list(LABELS[task]), PASSES
        if options.permuted:
            shuffled = np.random.default_rng(1).permutation(images.train_labels)
            images = dataclasses.replace(images, train_labels=shuffled)
        transient, shown = contest_transient(images, passes)
        images = dataclasses.replace(
            images, test=images.test[shown], test_labels=images.test_labels[shown]
        )
        labels = images.test_labels
    circuit = netlist(learner, classes, transient.inputs)
    parameters = {
        "task": task,
        "control": "permuted" * options.permuted,
        "step_s": options.step,
        "passes": passes,
        "learner": learner.as_dict(),
    }
    if drawn and options.patterns:
        parameters["patterns"] = dict(zip(drawn.labels, drawn.patterns, strict=True))
    record = Record(options, name, parameters, [options.patterns])
    record.write_netlist(lambda: batch_netlist(learner, images, drawn.labels) if drawn else circuit)

    # 2. ngspice: one transient, start-up, training and test.
    cells = [f"n_w{c}_{i}" for c in classes for i in range(transient.inputs)]
    lines = [f"n_line{c}" for c in classes] if drawn else []
    report(f"ngspice shows {len(transient.images):,} images to the circuit")
    text = deck(circuit, transient, options.step, save=[*cells, *lines])
    trace = simulate(text, transient.stop)
    found = score(trace, transient, labels)
    pass_ends = transient.begins[transient.learning.argmax()] + SLOT * len(
        images.train
    ) * np.arange(passes + 1)
    moments = pass_ends + np.r_[1e-5, np.full(passes, -1e-7)]
    weights = np.array([sampled(trace, f"v(xlearner.{cell})", moments) for cell in cells]).T
    weights = weights.reshape(-1, len(classes), transient.inputs)

    # 3. The law: its training on the same images, in the same order and in others; reads of
    #    ngspice's weights after each pass.
    law = Law(learner, classes, transient.inputs)
    results = {**found, "law": law_results(law, images, passes, found["predictions"])}
    right = [
        float(np.mean(law.decided(one, images.train) == images.train_labels)) for one in weights
    ]
    if drawn:
        before, _ = predictions(trace, transient, np.arange(len(classes)))
        results["recognised_before"] = int(np.sum(before == labels))
    record.write(results)

    # 4. Print and plot.
    if drawn:
        print(f"recognised before learning: {results['recognised_before']}")
    print(
        f"ngspice: {found['correct']} of {found['images']} correct, {found['tied']} tied, "
        f"{found['inference_J_per_image'] * 1e9:.3g} nJ an image"
    )
    print_rows(
        [{key: value for key, value in results["law"].items() if not isinstance(value, list)}]
    )
    record.plot(learning(right), "learning")
    shape = drawn.shape if drawn else (4, 4)
    pixels = weights[-1, :, : shape[0] * shape[1]]  # without the complements of patterns
    names = drawn.labels if drawn else [str(c) for c in classes]
    record.plot(plotting.weight_images(pixels, shape, names, "weight (V)"), "weights")
    if drawn:
        record.plot(waveforms(trace, transient, drawn.labels), "waveforms")


def law_results(law: Law, images: Split, passes: int, found: Sequence[int]) -> dict[str, Any]:
    """Train by the law and test it. Return by name the accuracies as shares, and the share of test
    images that law and ngspice decide alike. `found`: ngspice's decisions (test images, class
    numbers).

    The law is also trained with other orders of the images, and with permuted labels.
    """
    labels = images.train_labels

    def decided(seed: int, taught: np.ndarray) -> np.ndarray:
        lessons = dataclasses.replace(images, train_labels=taught).lessons(passes, seed)
        return law.decided(law.train(*lessons), images.test)

    orders = [decided(seed, labels) for seed in ORDERS]
    permuted = [decided(seed, np.random.default_rng(seed).permutation(labels)) for seed in ORDERS]
    accuracies, chance = (
        [float(np.mean(one == images.test_labels)) for one in trials]
        for trials in (orders, permuted)
    )
    return {
        "accuracy": accuracies[0],
        "decided_as_ngspice": float(np.mean(orders[0] == np.array(found))),
        "orders": accuracies,
        "permuted_labels": chance,
    }


def learning(right: Sequence[float]) -> Figure:
    """Draw `right`, the share of training images that the weights after each pass recognise."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    axis.plot(100 * np.array(right), color=BLUE, marker="o", markersize=4)
    axis.set(
        xlabel="passes over the training images",
        ylabel="training images right (%)",
        ylim=(0, 100),
        title="Weights after each pass in ngspice, read by the law",
    )
    axis.set_xticks(np.arange(len(right)))
    axis.grid(alpha=0.3)
    return figure


def waveforms(trace: Trace, transient: Transient, names: Sequence[str]) -> Figure:
    """Draw scores, error lines and the weights of the first class while the first patterns are
    learned.
    """
    first, count = int(np.flatnonzero(transient.learning)[0]), 6
    begin = float(transient.begins[first])
    at = np.linspace(begin, begin + count * SLOT, 3000)
    ms = 1e3 * (at - begin)
    figure, axes = plt.subplots(3, 1, figsize=(WIDTH, 6.2), sharex=True)
    scores = 1e3 * np.array([sampled(trace, f"v(out{c})", at) for c in range(len(names))])
    for c, name in enumerate(names):
        style = plotting.line_style(c, len(names))
        axes[0].plot(ms, scores[c], label=name, **style)
        axes[1].plot(ms, sampled(trace, f"v(xlearner.n_line{c})", at), **style)
    shown = transient.images[transient.labels == 0][0]
    for i in range(transient.inputs // 2):
        colour = BLUE if shown[i] else plotting.ORANGE
        axes[2].plot(ms, sampled(trace, f"v(xlearner.n_w0_{i})", at), color=colour, linewidth=1.0)
    labels = ", ".join(names[c] for c in transient.labels[first : first + count])
    # cuts off the peaks at edges
    limits = np.min(scores) - 3, np.percentile(scores, 99) + 15
    axes[0].set(ylabel="scores (mV)", ylim=limits, title=f"labels, a millisecond each: {labels}")
    axes[0].legend(ncols=len(names))
    axes[1].set_ylabel("error lines (V)")
    axes[2].set(
        ylabel=f"weights of {names[0]} (V)", xlabel="time since the first training image (ms)"
    )
    for axis in axes:
        axis.grid(axis="x")
    return figure


if __name__ == "__main__":
    run(main)
