"""What every training script does: options, then train, keep, report. The scripts differ in their experiment."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memristive.cli.chip_options import add_chip_options, chosen_chip
from memristive.cli.command_line import (
    BEFORE_TRAINING,
    Parser,
    add_quantities,
    file_name,
    make_parser,
    netlist_of,
    quantities,
    quantity_type,
    warn,
    write_netlist,
)
from memristive.cli.experiments import RULES, Experiment, add_engine, with_room
from memristive.cli.training_runs import RUNS
from memristive.io.checkpoints import checkpoint_path
from memristive.io.claims import claimed
from memristive.io.results import results_path, versions, write_results
from memristive.io.voltages import FORMAT, Voltages, checksum, save_voltages
from memristive.single_layer.engines import NGSPICE
from memristive.single_layer.error_rule import ErrorDrivenRule
from memristive.spice.session import NgspiceSession
from memristor import ROUNDED, rounding

MakeExperiment = Callable[..., Experiment]


def training_parser(description: str, experiment: Experiment, add_options: Callable[[Parser], None]) -> Parser:
    """Parser of a training script; `add_options` adds what only its dataset has."""
    name = experiment.dataset.name
    parser = make_parser(description)
    parser.add_argument("--voltages", type=file_name, metavar="FILE",
                        help=f"where the trained voltages go (default: voltages/{name}.json, "
                        "with rule, encoding and size in the name where they are not the paper's)")
    parser.add_argument("--rule", choices=RULES, default="hebbian",
                        help="one pulse a class (the paper's), or learning from errors (default: hebbian)")
    add_engine(parser, "learns from errors")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an error-driven training")
    add_options(parser)
    add_chip_options(parser)
    add_quantities(parser, experiment.schedule, ("pulse", "period", "rise", "phi_voltage", "input_voltage"))  # not of reads
    for parameters in (experiment.network.memristor, experiment.network.neuron):
        add_quantities(parser, parameters)
    group = parser.add_argument_group("ErrorDrivenRule (defaults depend on dataset and encoding)")
    for field in dataclasses.fields(experiment.rule):
        group.add_argument(f"--{field.name.replace('_', '-')}", type=quantity_type(field), default=argparse.SUPPRESS,
                           metavar="X", help=field.metadata["meaning"])
    return parser


def chosen_experiment(make_experiment: MakeExperiment, options: argparse.Namespace) -> Experiment:
    """The experiment of the dataset, size and encoding, with all that the options name."""
    given = vars(options)
    experiment = make_experiment(**{key: given[key] for key in ("size", "encoding") if key in given})
    network, pulses = experiment.network, with_room(given, experiment.schedule) if given.get("rule") == "error-driven" else given
    return dataclasses.replace(
        experiment, schedule=quantities(experiment.schedule, pulses), rule=quantities(experiment.rule, given),
        network=dataclasses.replace(network, memristor=quantities(network.memristor, given),
                                    neuron=quantities(network.neuron, given)))


# Options that would be ignored: those of the other rule, and of the schedule what a rule's training does not use.
UNUSED = {"hebbian": tuple(field.name for field in dataclasses.fields(ErrorDrivenRule)), "error-driven": ("period",)}


def refuse_ignored(parser: Parser, options: argparse.Namespace) -> None:
    """End with one line if an option is given that the rule would ignore."""
    for name in UNUSED[options.rule]:
        if name in vars(options):
            parser.error(f"--{name.replace('_', '-')} has no bearing on a training with --rule {options.rule}")
    if options.resume and options.rule == "hebbian":
        parser.error("--resume needs --rule error-driven: the Hebbian training has no checkpoints")
    if options.engine != NGSPICE and options.rule == "hebbian":
        parser.error("--engine closed-form needs --rule error-driven: the Hebbian training is one transient of ngspice")


def _warn_of_rounding(experiment: Experiment, seconds: float) -> None:
    """Say on standard error if writes are so slow that what ngspice rounds meanwhile counts."""
    memristor = experiment.network.memristor
    share = rounding(memristor, seconds)
    warn(f"in writes of {seconds:.3g} s ngspice may be off by {share:.2%} of X, which it rounds over a switch of "
         f"{memristor.switch_on:g} ohm; --switch-on 1e3 keeps it" if share > ROUNDED else "")


def training_script(description: str, make_experiment: MakeExperiment, arguments: list[str] | None,
                    add_options: Callable[[Parser], None] = lambda parser: None) -> None:
    """A training script from arguments to figures. `make_experiment` is called with size and encoding where given."""
    parser = training_parser(description, make_experiment(), add_options)
    options = parser.parse_args(arguments)
    refuse_ignored(parser, options)
    experiment = chosen_experiment(make_experiment, options)
    experiment = dataclasses.replace(experiment, chip=chosen_chip(options, *experiment.dataset.patterns.shape))
    path = Path(options.voltages or experiment.voltages_path(options.rule, options.engine))
    session = NgspiceSession()
    run = RUNS[options.rule](session, experiment, options.engine)
    name = f"{experiment.stem(options.rule, options.engine)}_training"
    made_with = {**run.parameters, "rule": options.rule}
    files = [(path, {**made_with, "format": FORMAT}), (results_path(options.figures, name), made_with)]
    checkpoints = [] if options.rule == "hebbian" else [checkpoint_path(path)]
    with claimed(files, [*netlist_of(options), *checkpoints], options.force):
        run.begin(path, options)
        if options.engine == NGSPICE:
            _warn_of_rounding(experiment, run.longest_write)
        write_netlist(options.netlist, run.netlist, BEFORE_TRAINING if options.rule == "error-driven" else "")
        seconds = run.train()

        origin = {**run.parameters, "versions": versions(session), "states": checksum(run.states)}
        save_voltages(path, Voltages(run.states, experiment.dataset.name, experiment.encoding, options.rule, origin))
        classes, inputs = run.states.shape
        print(f"trained {classes} x {inputs} cells in {seconds:.2f} s -> {path}")

        measured: dict[str, Any] = {"rule": options.rule, "seconds": seconds, "voltages": run.states, **run.measure()}
        print(f"wrote {write_results(options.figures, name, session, run.parameters, measured)}")
        run.kept()
        run.report(options, measured)
