"""XPUE inference: the trained crossbar reads its four patterns in ngspice; the neuron that fires
first names the class.

Reads voltages/xpue.json, which XPUE_memristive_training.py writes, any file in the paper's flat
layout, a network of your own patterns, or one that was trained with --silicon. Writes
results/paper/xpue_inference.json and figures/xpue_*.png in about 2 s. The inferences of 012345 and
MNIST make the same steps.
"""

import numpy as np

from datasets import xpue
from memristive.cli import paper, script
from memristive.learning.hebbian import infer
from memristive.progress import progress
from memristive.scores.decisions import confusion, decide, decision_name, lead, resolution_of


def main(arguments: list[str] | None = None) -> None:
    """Read X, +, U and =."""
    read_patterns(
        paper.reading_task("xpue", (4, 9), lambda voltages: xpue(), __doc__, arguments, xpue())
    )


def read_patterns(task: paper.ReadingTask | None) -> None:
    """Present its patterns to a trained crossbar, decide, save, print, plot."""
    # 1. The trained network, states X in V with the device, neuron and pulses of the training, and
    #    the data.
    if task is None:
        return  # a chip of transistors has been read
    voltages, setup = task.voltages, task.setup
    patterns, labels, classes = (
        task.dataset.patterns,
        task.dataset.labels,
        len(task.dataset.patterns),
    )

    # 2. Present each pattern with every phi low. A spike is the membrane's crossing of the
    #    threshold.
    result = infer(
        setup,
        voltages.states,
        patterns,
        watch=lambda runs: progress(runs, classes, "inference", "pattern"),
    )

    # 3. Decide: the first spike wins if it leads by more than the network's resolution.
    resolution = resolution_of(voltages.rule, setup.neuron)
    strict, by_paper = decide(result.spikes, resolution, setup.schedule.sampling_step)
    decisions = [decision_name(d, labels) for d in strict]
    leads, truth = [lead(times) for times in result.spikes], np.arange(classes)

    # 4. Save.
    task.record.write(
        {
            "strict_accuracy": np.mean(strict == truth),
            "paper_rule_accuracy": np.mean(by_paper == truth),
            "decisions": decisions,
            "first_spike_times": result.spikes,
            "leads": leads,
            "resolution": resolution,
        }
    )

    # 5. Print and plot.
    import plotting  # here, because --help needs no matplotlib

    script.print_decisions(labels, decisions, result.spikes, leads)
    print(
        f"train accuracy: strict {sum(strict == truth)}/{classes}, by the paper's rule "
        f"{sum(by_paper == truth)}/{classes}"
    )
    for part, figure in (
        ("membranes", plotting.membranes(result, setup, labels)),
        ("train_confusion", plotting.confusion(confusion(truth, strict, classes), labels)),
    ):
        plotting.save(figure, task.figures / f"{task.stem}_{part}.png")


if __name__ == "__main__":
    script.run(main)
