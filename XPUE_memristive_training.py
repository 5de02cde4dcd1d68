"""XPUE training: a 4 x 9 crossbar of memristors learns four 3x3 symbols in one ngspice transient
(Jurj 2024, section 3).

Read it from top to bottom, change a number, run it again. The trainings of 012345 and MNIST make
the same steps. Writes voltages/xpue.json, results/paper/xpue_training.json and figures/xpue_*.png
in about 3 s.

--patterns FILE trains your own letters, one class each: a text file with a line for each, its rows
in 0 and 1 and then its name ("101 010 101 X"). Writes own/FILE.json, for
XPUE_memristive_inference.py --voltages. The feedback resistor follows from the patterns.

With --silicon gf180mcu every part is a foundry's transistors, about 5 s (docs/silicon.md).
With --alone that chip also decides on its writes, about 90 s.
"""

from pathlib import Path

from datasets import Dataset, own_patterns, xpue
from memristive.cli import script
from memristive.cli.devices import add_device, on_device
from memristive.cli.silicon import add_silicon, train_on_silicon
from memristive.cli.silicon_alone import add_alone
from memristive.io.records import check_overwriting, describe
from memristive.io.voltages import save_voltages
from memristive.learning.hebbian import hebbian_netlist, train_hebbian
from memristive.network.design import Schedule, Setup
from memristive.progress import progress
from memristive.scores.checks import fit_feedback_resistor
from memristor import MemristorParameters
from snn_circuit import NeuronParameters

# The paper's device, neuron and pulses, in SI units. Every parameter that is not given here has a
# default.
MEMRISTOR = MemristorParameters(transconductance=5e-9)
NEURON = NeuronParameters(feedback_resistance=1e3, threshold=4.0)
SCHEDULE = Schedule(pulse=5e-3, period=15e-3, input_voltage=1.0, phi_voltage=1.2)


def main(arguments: list[str] | None = None) -> None:
    """Train on X, +, U and =, one pattern for each class, pixels from 0 to 1."""
    train(xpue(), Setup(MEMRISTOR, NEURON, SCHEDULE), __doc__, arguments)


def train(
    dataset: Dataset, setup: Setup, description: str | None, arguments: list[str] | None
) -> None:
    """Train a crossbar on the patterns of a dataset, save, print, plot. `description` is the text
    of --help.
    """
    # 1. Data, and the parameters with the changes of --set.
    parser = script.make_parser(
        description, "paper", voltages=f"voltages/{dataset.name}.json", netlist=True
    )
    parser.add_argument(
        "--patterns", type=Path, metavar="FILE", help="your own letters, such as '101 010 101 X'"
    )
    options = add_alone(add_silicon(add_device(parser))).parse_args(arguments)
    own = {}
    if options.patterns:
        dataset = own_patterns(options.patterns)
        own = {"labels": dataset.labels, "patterns": dataset.patterns}
        setup = fit_feedback_resistor(setup, dataset.patterns)
        folder = script.keep_apart(options, options.patterns)
        if options.voltages == options.default_voltages:
            options.voltages = options.default_voltages = folder / f"{dataset.name}.json"
    if options.silicon or options.alone:
        return train_on_silicon(options, dataset)
    stem, patterns, labels = dataset.name, dataset.patterns, dataset.labels
    setup = Setup(
        *script.apply_settings(
            options, memristor=setup.memristor, neuron=setup.neuron, schedule=setup.schedule
        )
    )
    setup = on_device(options, setup, patterns)
    parameters = {
        "dataset": stem,
        "shape": dataset.shape,
        "rule": "hebbian",
        **own,
        **describe(setup),
    }
    if setup.array:  # the resistor follows from the states that the training reaches
        del parameters["network"]["neuron"]["feedback_resistance"]
    check_overwriting(
        options.voltages, parameters, options.force, [options.patterns], "--voltages FILE"
    )
    record = script.Record(
        options,
        f"{stem}{setup.suffix}_training",
        parameters,
        others=[options.voltages, options.patterns],
    )
    record.write_netlist(lambda: hebbian_netlist(setup, patterns, labels))

    # 2. Train. While class j's pattern is at the rows, only phi_j is high, so only column j is
    #    written.
    training = train_hebbian(
        setup,
        patterns,
        watch=lambda runs: progress(runs, len(patterns), "training", "class"),
    )
    setup = training.setup

    # 3. Save. The states X, the voltages of the memory capacitors, are the weights.
    save_voltages(
        options.voltages,
        training.states,
        overwrite=True,  # checked above
        engine="ngspice",
        encoding="binary",
        **parameters | describe(setup),
    )
    record.write({"voltages": training.states})

    # 4. Print and plot.
    import plotting  # here, because --help needs no matplotlib

    script.print_training(setup, labels, patterns, training.states)
    for name, figure in (
        ("inputs", plotting.pulses(training.time, training.inputs, "input")),
        ("controls", plotting.pulses(training.time, training.controls, "control", labels)),
        (
            "states",
            plotting.memristor_states(
                training.time,
                training.states_over_time,
                labels,
                patterns.ravel() > 0,
                setup.state_quantity,
            ),
        ),
        (
            "trained",
            plotting.weight_images(training.states, dataset.shape, labels, setup.state_quantity),
        ),
    ):
        plotting.save(figure, options.figures / f"{stem}{setup.suffix}_{name}.png")


if __name__ == "__main__":
    script.run(main)
