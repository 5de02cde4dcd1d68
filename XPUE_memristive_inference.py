"""XPUE inference: the trained crossbar reads its four patterns in ngspice; the neuron that fires
first names the class.

Reads voltages/xpue.json, which XPUE_memristive_training.py writes, any file in the paper's flat
layout, or a network of your own patterns. Writes results/paper/xpue_inference.json and
figures/xpue_*.png in about 2 s. The inferences of 012345 and MNIST make the same steps.
"""

from collections.abc import Callable

import numpy as np

from datasets import Dataset, recorded_patterns, xpue
from memristive.cli import script
from memristive.cli.silicon import add_silicon, read_on_silicon
from memristive.io.records import describe
from memristive.io.voltages import Voltages, load_voltages, read_voltages
from memristive.learning.hebbian import infer, inference_netlist
from memristive.progress import progress
from memristive.scores.decisions import confusion, decide, decision_name, lead, resolution_of


def main(arguments: list[str] | None = None) -> None:
    """Read X, +, U and =."""
    read_patterns("xpue", (4, 9), lambda voltages: xpue(), __doc__, arguments, xpue())


def read_patterns(
    name: str,
    shape: tuple[int, int | None],
    dataset_of: Callable[[Voltages], Dataset],
    description: str | None,
    arguments: list[str] | None,
    of_silicon: Dataset | None = None,
) -> None:
    """Load a trained crossbar of `shape` classes x inputs, present the patterns of its dataset,
    decide, save, print, plot.

    `of_silicon` is the dataset of reads in transistors; None: there are none.
    `name` is the stem of the voltages file, for whose content `dataset_of` returns the dataset;
    `description` is the text of --help. A file of a user's own patterns holds them, with any shape.
    """
    parser = script.make_parser(
        description, "paper", voltages=f"voltages/{name}.json", netlist=True
    )
    options = (add_silicon(parser) if of_silicon else parser).parse_args(arguments)
    if of_silicon and options.silicon:
        return read_on_silicon(options, of_silicon)
    script.keep_apart(options, options.voltages)

    # 1. The trained network, states X in V with the device, neuron and pulses of the training, and
    #    the data.
    own = recorded_patterns(read_voltages(options.voltages))
    if own:
        name, shape = own.name, own.patterns.shape
    voltages = load_voltages(options.voltages, name, *shape)
    dataset = own or dataset_of(voltages)
    patterns, labels, classes = dataset.patterns, dataset.labels, len(dataset.patterns)
    setup = voltages.setup(dataset.setup)
    (schedule,) = script.apply_settings(options, schedule=setup.schedule)
    setup = setup.replace(schedule=schedule)
    record = script.Record(
        options,
        f"{name}{setup.suffix}_inference",
        {
            "dataset": name,
            "voltages": options.voltages,
            "rule": voltages.rule,
            **describe(setup, voltages.chip),
        },
        others=[options.voltages],
    )
    record.write_netlist(lambda: inference_netlist(setup, voltages.states, patterns, labels))

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
    strict, paper = decide(result.spikes, resolution, schedule.sampling_step)
    decisions, leads = (
        [decision_name(d, labels) for d in strict],
        [lead(times) for times in result.spikes],
    )
    truth = np.arange(classes)

    # 4. Save.
    record.write(
        {
            "strict_accuracy": np.mean(strict == truth),
            "paper_rule_accuracy": np.mean(paper == truth),
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
        f"{sum(paper == truth)}/{classes}"
    )
    for part, figure in (
        ("membranes", plotting.membranes(result, setup, labels)),
        ("train_confusion", plotting.confusion(confusion(truth, strict, classes), labels)),
    ):
        plotting.save(figure, options.figures / f"{name}{setup.suffix}_{part}.png")


if __name__ == "__main__":
    script.run(main)
