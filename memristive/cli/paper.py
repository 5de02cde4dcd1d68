"""Options of the paper's scripts: own patterns, devices, a foundry's transistors, records.

A script calls `training_task` or `reading_task` and gets what it trains or reads.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from memristive.cli import script
from memristive.cli.devices import add_device, on_device
from memristive.cli.silicon import add_silicon, read_on_silicon, take_process, train_on_silicon
from memristive.cli.silicon_alone import add_alone
from memristive.datasets import Dataset, own_patterns, recorded_patterns
from memristive.io.records import check_overwriting, describe
from memristive.io.voltages import Voltages, load_voltages, read_voltages, save_voltages
from memristive.learning.hebbian import Training, hebbian_netlist, inference_netlist
from memristive.network.design import Setup
from memristive.parameters import Fields
from memristive.scores.checks import fit_feedback_resistor


class TrainingTask(NamedTuple):
    """What a script trains. `stem` begins the names of its figures in the folder `figures`."""

    dataset: Dataset
    setup: Setup
    record: script.Record
    parameters: Fields  # of the network's file
    voltages: Path  # this file
    figures: Path
    stem: str

    def save(self, training: Training) -> None:
        """Write the trained states to the network's file and to the record."""
        save_voltages(
            self.voltages,
            training.states,
            overwrite=True,  # checked by `training_task`
            engine="ngspice",
            encoding="binary",
            **self.parameters | describe(training.setup),
        )
        self.record.write({"voltages": training.states})


class ReadingTask(NamedTuple):
    """What a script reads: the trained network, its patterns, and names as in `TrainingTask`."""

    voltages: Voltages
    dataset: Dataset
    setup: Setup
    record: script.Record
    figures: Path
    stem: str


def training_task(
    dataset: Dataset, setup: Setup, description: str | None, arguments: list[str] | None
) -> TrainingTask | None:
    """Return what the options of a training script ask for; None once --silicon has trained it.

    Writes --netlist. `description` is the text of --help.
    """
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
        train_on_silicon(options, dataset)
        return None
    patterns, labels = dataset.patterns, dataset.labels
    setup = Setup(
        *script.apply_settings(
            options, memristor=setup.memristor, neuron=setup.neuron, schedule=setup.schedule
        )
    )
    setup = on_device(options, setup, patterns)
    parameters = {
        "dataset": dataset.name,
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
    stem, others = f"{dataset.name}{setup.suffix}", [options.voltages, options.patterns]
    record = script.Record(options, f"{stem}_training", parameters, others=others)
    record.write_netlist(lambda: hebbian_netlist(setup, patterns, labels))
    return TrainingTask(dataset, setup, record, parameters, options.voltages, options.figures, stem)


def reading_task(
    name: str,
    shape: tuple[int, int | None],
    dataset_of: Callable[[Voltages], Dataset],
    description: str | None,
    arguments: list[str] | None,
    of_silicon: Dataset | None = None,
) -> ReadingTask | None:
    """Return what the options of an inference script ask for; None once it is read on silicon.

    Writes --netlist.

    Parameters
    ----------
    name : str
        Stem of the voltages file.
    shape : classes x inputs
        Of the network; None: any number of inputs. Files of a user's own patterns have any shape.
    dataset_of : function of the file's `Voltages`
        Returns the patterns, unless the file holds a user's own.
    description : str
        Text of --help.
    of_silicon : Dataset, optional
        Patterns of reads in a foundry's transistors; None: the script has no such reads.
    """
    parser = script.make_parser(
        description, "paper", voltages=f"voltages/{name}.json", netlist=True
    )
    options = (add_silicon(parser) if of_silicon else parser).parse_args(arguments)
    if of_silicon and take_process(options):
        read_on_silicon(options, of_silicon)
        return None
    script.keep_apart(options, options.voltages)
    own = recorded_patterns(read_voltages(options.voltages))
    if own:
        name, shape = own.name, own.patterns.shape
    voltages = load_voltages(options.voltages, name, *shape)
    dataset = own or dataset_of(voltages)
    setup = voltages.setup(dataset.setup)
    (schedule,) = script.apply_settings(options, schedule=setup.schedule)
    setup = setup.replace(schedule=schedule)
    stem = f"{name}{setup.suffix}"
    parameters = {
        "dataset": name,
        "voltages": options.voltages,
        "rule": voltages.rule,
        **describe(setup, voltages.chip),
    }
    record = script.Record(options, f"{stem}_inference", parameters, others=[options.voltages])
    record.write_netlist(
        lambda: inference_netlist(setup, voltages.states, dataset.patterns, dataset.labels)
    )
    return ReadingTask(voltages, dataset, setup, record, options.figures, stem)
