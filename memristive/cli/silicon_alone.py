"""Option --alone of --silicon: a chip that learns from its errors by itself, in one transient."""

import argparse

import numpy as np

from memristive.cli import script
from memristive.datasets import Dataset
from memristive.devices.foundry import Process
from memristive.parameters import Fields, ParameterError
from memristive.progress import progress


def add_alone(parser: script.Parser) -> script.Parser:
    """Add the options of a chip that learns alone; return the parser."""
    parser.add_argument(
        "--alone", action="store_true", help="of --silicon: circuits decide on writes"
    )
    parser.add_number("--passes", 1, 1000, 8, "of --alone: presentations of each pattern")
    parser.add_argument(
        "--margin",
        type=float,
        default=200e3,
        metavar="OHM",
        help="of --alone: delays the race's end over 300 fF (default: 200e3)",
    )
    return parser


def learn_alone(options: argparse.Namespace, dataset: Dataset) -> None:
    """Let a chip learn the patterns of a dataset; print errors by pass, save a record."""
    # the paper's circuit needs none
    from memristive.engines.silicon_alone import AloneLayer, AlonePulses

    if not options.silicon:
        raise ParameterError("alone: it needs --silicon, and a foundry")
    if options.parameters or options.settings or options.device:
        raise ParameterError("parameters, settings and device are of the paper's circuit")
    if len(options.corner) > 1 or "all" in options.corner or len(options.temperature) > 1:
        raise ParameterError("corner and temperature of --alone: give one of each")
    process = Process(options.silicon, options.corner[0], options.temperature[0], options.mismatch)
    process.header()  # a missing package ends the script before anything is written
    pulses = AlonePulses(window=options.window, margin=options.margin)
    layer = AloneLayer(process, dataset.patterns, options.passes, pulses)
    parameters: Fields = {
        "dataset": dataset.name,
        "process": process.as_dict(),
        "pulses": pulses.as_dict(),
        "passes": options.passes,
    }
    record = script.Record(options, f"{dataset.name}_{process.name}_alone", parameters)
    record.write_netlist(layer.netlist)
    learned = layer.train(lambda runs: progress(runs, len(layer.order), "learning", "presentation"))
    classes, done = len(dataset.patterns), len(learned.order)
    wrong = [int(part.sum()) for part in np.split(learned.wrong, range(classes, done, classes))]
    own = np.eye(classes, dtype=bool)[learned.order]
    python = own & learned.wrong[:, None]  # Python's writes up, without a margin
    asked = own & learned.error[:, None], learned.latched & ~own
    missed = int(np.sum(learned.up != asked[0]) + np.sum(learned.down != asked[1]))
    record.write(
        {
            "presentations": done,
            "wrong_by_pass": wrong,
            "order": learned.order,
            "first_spike_times": learned.spikes,
            "written_up": learned.up.astype(int),
            "written_down": learned.down.astype(int),
            "writes_unlike_latches": missed,
            "voltages": learned.states,
            "energy": learned.energy,
        }
    )
    print(
        f"{done} of {len(layer.order)} presentations in {layer.stop:.3g} s of the circuit; wrong "
        f"first spikes by pass: {' '.join(map(str, wrong))}"
    )
    print(
        f"writes up {learned.up.sum()} ({np.sum(learned.up & ~python)} of them for a lead within "
        f"the margin), down {learned.down.sum()}; {missed} writes unlike the latches"
    )
    from matplotlib.figure import Figure  # here, because --help needs none

    figure = Figure((8, 7), layout="constrained")
    top, *panels = figure.subplots(5, 1)
    top.bar(range(1, len(wrong) + 1), wrong)
    top.set(xlabel="pass", ylabel="errors")
    # the first presentation, in which all columns race
    waves, begin = learned.waves, layer.starts[0]
    shown = (waves.time >= begin) & (waves.time <= begin + layer.slot)
    kinds = ("output", "spike (V)"), ("q", "latch (V)"), ("phi", "write (V)"), ("gate", "X (V)")
    for axes, (kind, label) in zip(panels, kinds, strict=True):
        for j in range(classes):
            node = f"gate_{j}_0" if kind == "gate" else f"{kind}_{j}"
            axes.plot(1e6 * (waves.time[shown] - begin), waves[node][shown], label=f"column {j}")
        axes.set(ylabel=label)
    panels[0].legend(ncols=classes, fontsize="small")
    panels[-1].set(xlabel=f"time (µs); the image is class {learned.order[0]}")
    record.plot(figure)
    joule = learned.energy
    print(
        f"{sum(joule.values()) / done:.3g} J a presentation, of which the decision took "
        f"{joule['logic'] / sum(joule.values()):.1%}"
    )
