"""What every training script does: parameters, data, run, save, report, plot. The scripts differ in their experiment."""

import dataclasses
import time

import matplotlib.pyplot as plt
import numpy as np

import plotting
from learning.energy import write_energy
from learning.error_driven import LearningState, Teacher, begin, learning_curve
from learning.hebbian import hebbian_network, read_network, train_hebbian
from learning.pulses import READING, TRAINING
from memristor import state_rate, trained_state
from plotting import VERMILLION, WIDTH
from records.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from records.results import versions, write_results
from records.voltages import Voltages, save_voltages
from snn_circuit import names, state_names
from spice.session import NgspiceSession, netlist_text
from workflow.command_line import (
    add_quantities,
    draw,
    make_parser,
    print_energy,
    progress,
    quantities,
    quantity_type,
    write_netlist,
)
from workflow.experiments import RULES, describe

CHECKPOINT_EVERY = 500  # presentations


def training_parser(description, experiment, add_options=lambda parser: None):
    """Parser of a training script; `add_options` adds what only its dataset has."""
    name = experiment.dataset.name
    parser = make_parser(description)
    parser.add_argument("--voltages", metavar="FILE", help=f"where the trained voltages go (default: voltages/{name}.json, "
                        "with rule, encoding and size in the name where they are not the paper's)")
    parser.add_argument("--rule", choices=RULES, default="hebbian",
                        help="one pulse a class (the paper's), or learning from errors (default: hebbian)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an error-driven training")
    add_options(parser)
    for parameters in (experiment.schedule, experiment.network.memristor, experiment.network.neuron):
        add_quantities(parser, parameters)
    group = parser.add_argument_group("ErrorDrivenRule (defaults depend on dataset and encoding)")
    for field in dataclasses.fields(experiment.rule):
        group.add_argument(f"--{field.name.replace('_', '-')}", type=quantity_type(field), metavar="X",
                           help=field.metadata["meaning"])
    return parser


def configured(experiment, arguments, defaults):
    """The experiment with what the options say; options left at `defaults` keep the experiment's own values."""
    given = {key: value for key, value in vars(arguments).items() if defaults.get(key) != value}
    return dataclasses.replace(
        experiment, schedule=quantities(experiment.schedule, given), rule=quantities(experiment.rule, given),
        network=dataclasses.replace(experiment.network, memristor=quantities(experiment.network.memristor, given),
                                    neuron=quantities(experiment.network.neuron, given)))


def training_script(description, make_experiment, arguments, add_options=lambda parser: None):
    """A training script from arguments to figures. `make_experiment` is called with size and encoding where given."""
    parser = training_parser(description, make_experiment(), add_options)
    options = parser.parse_args(arguments)
    chosen = {key: getattr(options, key) for key in ("size", "encoding") if hasattr(options, key)}
    defaults = {action.dest: action.default for action in parser._actions}
    experiment = configured(make_experiment(**chosen), options, defaults)
    path = options.voltages or experiment.voltages_path(options.rule)
    session = NgspiceSession()
    train = _hebbian if options.rule == "hebbian" else _error_driven
    train(session, experiment, path, options)


def _report(session, experiment, rule, path, states, seconds, options, more):
    """Save what was trained, voltages first: a figure that cannot be written costs no training."""
    parameters = describe(experiment, **more.pop("parameters", {}))
    origin = {**parameters, "versions": versions(session)}
    save_voltages(path, Voltages(states, experiment.dataset.name, experiment.encoding, rule, origin))
    classes, inputs = states.shape
    print(f"trained {classes} x {inputs} cells in {seconds:.2f} s -> {path}")
    results = {"rule": rule, "seconds": seconds, "voltages": states, **more}
    print(f"wrote {write_results(options.figures, f'{experiment.stem(rule)}_training', session, parameters, results)}")


def _hebbian(session, experiment, path, options):
    parameters, schedule, patterns = experiment.network, experiment.schedule, experiment.dataset.patterns
    classes, inputs = patterns.shape
    cells = state_names(classes, inputs)
    write_netlist(options.netlist, lambda: netlist_text(
        hebbian_network(parameters, schedule, patterns), TRAINING, schedule.stop(classes), cells, cells))
    start = time.perf_counter()
    trained = train_hebbian(session, parameters, schedule, patterns,
                            watch=lambda runs: progress(runs, classes, "training", "class"))
    seconds = time.perf_counter() - start
    closed_form = float(trained_state(parameters.memristor, schedule.input_voltage, schedule.pulse))
    print_trained(experiment.dataset, trained.states, closed_form)
    energy = write_energy(session, parameters, schedule, np.zeros_like(trained.states), patterns[0], 0, schedule.pulse)
    print_energy("one class's write", energy)
    _report(session, experiment, "hebbian", path, trained.states, seconds, options,
            {"closed_form_on": closed_form, "write_energy": energy})
    name = experiment.name
    draw(options, f"{name}_images", plotting.dataset_images, experiment.dataset)
    draw(options, f"{name}_inputs", plotting.pulses, trained.time, trained.inputs, "input")
    draw(options, f"{name}_controls", plotting.pulses, trained.time, trained.controls, "control", experiment.dataset.labels)
    draw(options, f"{name}_states", plotting.memristor_states, trained.time, trained.states_over_time, classes, inputs,
         experiment.dataset.labels)
    draw(options, f"{name}_trained", plotting.weight_images, trained.states, experiment.dataset.shape,
         experiment.dataset.labels)


def print_trained(dataset, states, closed_form=None):
    """Print the trained voltages: every cell of a small network, each class's ranges of a large one."""
    if states.size <= 100:
        print("trained voltages in V, class by class, input by input:")
        for label, row in zip(dataset.labels, states, strict=True):
            print(f"  {label}  " + " ".join(f"{value:6.3f}" for value in row))
    lowest_highest = f"{'lowest/V':>8}  {'highest/V':>9}"
    print(f"{'class':>5}  {'on-cells':>8}  {lowest_highest}  {'off-cells':>9}  {lowest_highest}")
    for label, row, pattern in zip(dataset.labels, states, dataset.patterns, strict=True):
        on, off = row[pattern > 0], row[pattern == 0]
        off_range = f"{off.min():8.4f}  {off.max():9.4f}" if len(off) else f"{'-':>8}  {'-':>9}"
        print(f"{label:>5}  {len(on):8d}  {on.min():8.4f}  {on.max():9.4f}  {len(off):9d}  {off_range}")
    if closed_form is not None:
        print(f"closed form K*V*t/(C + C_gate) for a full pixel: {closed_form:.4f} V")


def _error_driven(session, experiment, path, options):
    images, labels = experiment.training_images()
    rule = experiment.rule
    parameters = describe(experiment, learning=dataclasses.asdict(rule))
    checkpoint = checkpoint_path(path)
    classes, inputs = experiment.dataset.patterns.shape
    learning = LearningState(**load_checkpoint(checkpoint, parameters)) if options.resume else begin(rule, classes, inputs)
    write_netlist(options.netlist, lambda: _first_read(experiment, learning.states, images[0]))
    teacher = Teacher(session, experiment.network, experiment.schedule, rule, images, labels, classes)
    _learn(teacher, learning, rule, checkpoint, parameters)
    report_learning(session, experiment, path, options, learning, images[0], int(labels[0]))
    checkpoint.unlink(missing_ok=True)


def _first_read(experiment, states, image):
    """The netlist of the first read, with the whole network."""
    schedule = experiment.schedule
    nodes = names("membrane", len(states))
    circuit = read_network(experiment.network, schedule, states, image, "read of the first image")
    return netlist_text(circuit, READING, schedule.pulse, nodes, nodes)


def report_learning(session, experiment, path, options, learning, image, label):
    """Save and draw what the error-driven rule has learned; `image` of class `label` shows what a write costs."""
    rule = experiment.rule
    accuracy, writes = learning_curve(learning.history)
    print(f"presented {len(accuracy)} images, wrote after {writes[-1]} of them; last running accuracy {accuracy[-1]:.2%}")
    pulse = rule.dose / float(state_rate(experiment.network.memristor, experiment.schedule.input_voltage))
    energy = {name: write_energy(session, experiment.network, experiment.schedule, learning.states, image, label, pulse, sign)
              for name, sign in (("potentiation", 1), ("depression", -1))}
    for name, joules in energy.items():
        print_energy(f"a write of the first dose, {name}", joules)
    marks = slice(CHECKPOINT_EVERY - 1, None, CHECKPOINT_EVERY)
    curve = {"presentations": np.arange(1, len(accuracy) + 1)[marks], "accuracy": accuracy[marks], "writes": writes[marks]}
    _report(session, experiment, "error-driven", path, learning.states, learning.seconds, options,
            {"parameters": {"learning": dataclasses.asdict(rule)}, "write_energy": energy, "presentations": len(accuracy),
             "writes": int(writes[-1]), "running_accuracy": float(accuracy[-1]), "learning_curve": curve})
    stem = experiment.stem("error-driven")
    draw(options, f"{stem}_learning", learning_figure, accuracy, writes)
    draw(options, f"{stem}_trained", plotting.weight_images, learning.states, experiment.dataset.shape,
         experiment.dataset.labels, before=np.full_like(learning.states, rule.start_state))


def _learn(teacher, learning, rule, checkpoint, parameters):
    """Run the rule to its end with a progress bar and checkpoints, also one when it is interrupted."""
    began = time.perf_counter() - learning.seconds
    bar = progress(teacher.presentations(learning), rule.presentations - learning.done, "learning", "image", quick=0.5)
    try:
        with bar:
            for accuracy, writes in bar:
                learning.seconds = time.perf_counter() - began
                bar.set_postfix(accuracy=f"{accuracy:.1%}", writes=writes, refresh=False)
                if learning.done % CHECKPOINT_EVERY == 0:
                    save_checkpoint(checkpoint, vars(learning), parameters)
    except BaseException:
        if learning.done:
            save_checkpoint(checkpoint, vars(learning), parameters)
            print(f"{learning.done} presentations are saved in {checkpoint}; go on with --resume")
        raise


def learning_figure(accuracy, writes):
    """Running accuracy (share) and cumulative writes after each presentation."""
    count = np.arange(1, len(accuracy) + 1)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 4.5), sharex=True)
    top.plot(count, 100 * np.asarray(accuracy))
    top.set(ylabel="running accuracy (%)", title="Learning from errors")
    top.grid(alpha=0.3)
    bottom.plot(count, writes, color=VERMILLION)
    bottom.set(xlabel="presentations (images)", ylabel="presentations that wrote")
    bottom.grid(alpha=0.3)
    bottom.set_ylim(bottom=0)
    return figure
