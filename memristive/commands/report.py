"""Compare your device with published devices, in networks that learn: one page.

DEVICE is a table of readings (CSV, as for `memristive fit`), a SPICE model (JSON, as for
`memristive measure`), a device file, or a preset. Networks of the device learn MNIST (one layer of
grey 10x10 images; two layers, 400-100-10) and scikit-learn's digits (a convolution), with pulses at
once and late. One layer also learns without each of the device's faults in turn, and with cells
that differ. All in closed form; accuracies are strict, on all test images.

Writes report_NAME.html, with its figures inside, report_NAME.json, and each figure as PNG and PDF,
to own/. About five minutes on two free cores, with --short two; devices with one gradual direction
take longer. Ctrl-C saves a checkpoint for --resume.
"""

import argparse
import base64
import dataclasses
import html
import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import memristive
from memristive.accounting import costs as accounting
from memristive.accounting.costs import Accounts
from memristive.accounting.overview import with_unit
from memristive.cli.runs import Run, examined, means_of
from memristive.cli.script import OWN, Record, add_resume, make_parser
from memristive.commands import fit, measure
from memristive.commands.chips import FACTORS
from memristive.commands.compare import COLOUR_OF, dots
from memristive.devices.measured_device import (
    PRESETS,
    MeasuredDevice,
    device_record,
    load_device,
)
from memristive.devices.neuron_model import load_neuron
from memristive.devices.one_sided import middles
from memristive.devices.spice_model import PRESETS as MODELS
from memristive.devices.spice_model import has_entry
from memristive.files import read_json
from memristive.io.readings import read_file, read_over_time, read_readings
from memristive.io.records import (
    check_checkpoint,
    checkpoint_path,
    load_results,
    load_table,
    report,
    write_file,
)
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.ledger import Technology, mean
from memristive.network.chip import Chip, neuron_chip
from memristive.network.networks import Network
from memristive.network.recipe import AT_ONCE, LATE, Conv, Dense, Recipe
from memristive.parameters import Fields, ParameterError
from memristive.plotting import (
    BLUE,
    GREY,
    WIDTH,
    one_sided_steps,
    over_seeds,
    prefixed,
    steps,
)
from memristive.scores.checks import OperatingRangeWarning
from memristive.scores.decisions import score_row
from memristive.writing.pulses import Counts

# images and layers of each network, and the record of the published devices
Networks = Mapping[str, tuple[str, tuple[Conv | Dense, ...], str]]
NETWORKS: Networks = {
    "one layer": ("mnist", (), "compare_mnist"),
    "two layers": ("mnist_central", (Dense(100),), "compare_mnist_central_100"),
    "convolution": ("digits", (Conv(),), "compare_digits_convolution"),
}
ONE = "one layer"
PACKAGE = Path(memristive.__file__).parent
INSTALLED = PACKAGE / "published"  # exists if pip has installed it
PUBLISHED = INSTALLED if INSTALLED.exists() else PACKAGE.parent / "results/published"
AS_IT_IS, EVERYTHING = "as it is", "without all of these"
FINER = 10  # steps are divided by this factor
SPREADS = (0.1, 0.2, 0.3, 0.5)  # of steps and ranges from cell to cell
CELLS, NEURONS = "tolerance", "neurons"
# of each section on spreads: title, what differs, and the spread
OF_SPREAD = {
    CELLS: (
        "Cells that differ",
        "cells differ in steps and in range, each by this relative standard deviation (at 0 by the "
        "spreads of the device itself)",
        "relative spread of steps and of ranges",
    ),
    NEURONS: (
        "Neurons that differ",
        "neurons differ by the measured spreads of I_th and tau of a neuron, times this factor; "
        "their laws stay ideal",
        "factor on the measured spreads",
    ),
}
SHORT = 40_000  # presentations
READS, MOMENTS = 20, (5, 5)  # images whose reads are counted; moments and images of a training
AGES, RELEARNED = (1e3, 1e5, 1e7), 1000  # s without a write; presentations afterwards
AGED = f"aged {AGES[-1]:g}"
CLEAR = 2.0  # standard errors from which a difference counts
WORTH = 0.5  # points of accuracy from which it matters
MISFIT = 0.1  # share of the range: curves that miss their data by more are no good picture of them
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { line-height: 1.2 } h2 { margin-top: 2.2rem } figure { margin: 1rem 0 }
img { max-width: 100%; height: auto } div { overflow-x: auto }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums }
td:first-child { white-space: nowrap }
th, td { padding: 0.25rem 0.7rem; text-align: left; border-bottom: 1px solid #ddd }
tr.own td { font-weight: 600; background: #eef4fa }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0 }
  h2 { break-after: avoid } figure, tr { break-inside: avoid }
}
"""


class Given(NamedTuple):
    """Device of a report: what its fit or measurement had to say, how far its curves miss the
    readings (share of the range), and the figure of the fit.
    """

    device: MeasuredDevice
    source: str
    told: Sequence[str] = ()
    misfit: float = 0.0
    figure: Figure | None = None

    @property
    def warning(self) -> list[str]:
        """A sentence for the accuracies if the curves miss the data by more than `MISFIT`."""
        return [
            f"The curves miss the data of {self.device.name} by {self.misfit:.0%} of the range: "
            "these accuracies belong to the curves, and the device itself may do better or worse"
        ] * (self.misfit > MISFIT)


class Section(NamedTuple):
    """Part of the page: paragraphs, a table, and a figure with a name for its file."""

    title: str
    texts: Sequence[str]
    table: pd.DataFrame | None = None
    figure: Figure | None = None
    name: str = ""


def main(
    arguments: list[str] | None = None,
    networks: Networks = NETWORKS,
    most: int = SHORT,
) -> None:
    """Make the device, train all networks, and write the page. With --short, networks have at
    `most` so many presentations.
    """
    parser = add_resume(make_parser(__doc__, parameters=False))
    parser.set_defaults(results=OWN, figures=OWN)
    parser.add_argument("device", metavar="DEVICE", help="CSV, SPICE model, device file or preset")
    parser.add_argument(
        "--short", action="store_true", help=f"one seed, {most:,} presentations at most"
    )
    parser.add_argument(
        "--read-voltage", type=float, metavar="V", help="of a table (default: 0.1 V)"
    )
    fit.add_decimal(parser)
    parser.add_argument("--neuron", metavar="FILE", help="measured with --draws: on its chips, too")
    parser.add_common("--seeds", None, "default: 3; with --short 1")
    options = parser.parse_args(arguments)

    # 1. The device, from whatever describes it.
    seeds, shown = options.seeds or (1 if options.short else 3), most if options.short else None
    name = f"report_{name_of(Path(options.device))}"
    checkpoint = checkpoint_path(options.results / f"{name}.json")
    check_checkpoint(checkpoint, options.resume, options.force)
    neurons = neuron_chip(load_neuron(options.neuron)) if options.neuron else None
    given = given_device(options)
    device = given.device

    # 2. Train and test all networks.
    runs = list(runs_of(device, seeds, shown, networks, neurons))
    parameters = {"device": device_record(device), "seeds": seeds, "short": options.short}
    record = Record(
        options,
        name,
        parameters | ({"neuron": options.neuron} if neurons else {}),
        others=[options.device],
    )
    rows = pd.DataFrame(record.run_tasks(answer, runs))
    warn_of_failures(rows)

    # 3. Save, print, draw.
    advice = advice_of(rows)
    results = {"rows": rows.to_dict("records"), "advice": advice, "told": given.told}
    record.write(results | {"misfit": given.misfit}, ngspice=False)
    sections = [
        device_section(given),
        accuracy_section(given, rows, published(networks), shown),
        limits_section(rows),
        tolerance_section(rows, CELLS),
        *([tolerance_section(rows, NEURONS)] if neurons else []),
        *time_section(rows),
        wear_section(rows),
        energy_section(device, rows),
        Section("What to improve first", advice),
    ]
    with plt.rc_context({"savefig.format": "pdf"}):  # beside each PNG
        for section in sections:
            if section.figure and section.name:  # of a fit it is saved
                record.plot(section.figure, section.name)
    path = record.path.with_suffix(".html")
    write_file(path, page(device, sections, seeds, shown))
    report(f"wrote {path}: open it in a browser")
    print("\n".join([*given.warning, *advice]))


def name_of(path: Path) -> str:
    """Return the name of the device that a file or a preset's name describes."""
    is_json = path.is_file() and path.suffix == ".json"
    content = read_json(path, "device file") if is_json else {}
    return str(content.get("name", path.stem))


def given_device(options: argparse.Namespace) -> Given:
    """Return the device that the options describe. If a published device has its name, it is called
    "NAME (yours)".
    """
    path = Path(options.device)
    is_table = path.is_file() and path.suffix != ".json"
    if options.read_voltage is not None and not is_table:
        raise ParameterError(
            f"--read-voltage is for a table of readings: {path} states its voltages already"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if is_table:
            given = fitted(path, options)
        elif has_entry(MODELS, options.device, "file"):
            outputs = ["--results", str(options.results), "--figures", str(options.figures)]
            measure.main([options.device, *outputs, *["--force"] * options.force])
            device = load_device(str(options.results / f"{name_of(path)}_device.json"))
            given = Given(device, device.source, misfit=device.misfit)
        else:
            device = load_device(options.device)
            given = Given(device, device.source or "device file", misfit=device.misfit)
    messages = list(dict.fromkeys(str(one.message) for one in caught))
    for text in messages:
        warnings.warn(text, stacklevel=2)
    device = given.device
    if PRESETS.get(device.name, device) != device:
        device = dataclasses.replace(device, name=f"{device.name} (yours)")
    return given._replace(device=device, told=[*given.told, *messages])


def fitted(path: Path, options: argparse.Namespace) -> Given:
    """Fit a device to the table `path`, and save the fit as `memristive fit` does."""
    volts = 0.1 if options.read_voltage is None else options.read_voltage
    file, name = read_file(path, options.decimal), path.stem
    if read_over_time(path, volts, file):
        raise ParameterError(
            f"{path} has readings over time, which hold no steps: add their law to a device by "
            f"memristive fit {path} --device DEVICE, and report on the file that it writes"
        )
    readings, checksum = read_readings(path, volts, file)
    device_file = options.results / f"{name}_device.json"
    of_fit = argparse.Namespace(**vars(options) | {"file": path, "read_voltage": volts})
    misfit, figure = fit.save_fit(readings, checksum, of_fit, name, device_file)
    device = load_device(str(device_file))
    told = fit_told(load_results(options.results / f"device_fit_{name}.json"))
    return Given(device, device.source, told, misfit, figure)


def fit_told(fit: Fields) -> list[str]:
    """Return sentences on what the readings tell and what they do not, from the record of a fit."""
    texts = []
    for kind, (low, high) in sorted((fit.get("intervals_95") or {}).items()):
        texts.append(
            f"{kind.replace('_', ' ')}: 95 % interval {low:.2%} to {high:.2%} of the range"
        )
    if fit.get("equal_noises"):
        texts.append("the readings cannot tell write noise and read noise apart; both are equal")
    if "rms_share_of_range" in fit:
        texts.append(
            f"a replay of mean pulses misses the readings by {fit['rms_share_of_range']:.2%} of "
            f"the range (rms), {fit['largest_share_of_range']:.2%} at most"
        )
    return texts


# What is trained


def variants(device: MeasuredDevice) -> dict[str, Fields]:
    """Return the device's fields without each of its faults in turn, by the name of what is
    missing; faults that it does not have are left out. `AS_IT_IS` comes first, without changes.
    `EVERYTHING`, all at once, comes last if there are several and both directions are gradual.
    """
    equal, pairs = (device.mean_step,) * 2, device.one_sided
    finer: Fields = {
        "up": tuple(np.array(device.up) / FINER),
        "down": tuple(np.array(device.down) / FINER),
        "write_noise": device.write_noise / math.sqrt(FINER),
    }
    spread = dict.fromkeys(
        ("spread", "range_spread", "lowest_spread", "write_noise_spread", "read_noise_spread"), 0.0
    )
    quiet: Fields = {"write_noise": 0.0}
    if pairs:  # distributions in place of curves and noise
        means = middles(pairs.gradual).mean(axis=0)
        away = np.array(pairs.gradual) - means
        tables = (means / FINER + away / math.sqrt(FINER), np.tile(means, (2, 1)))
        small, plain = (tuple(map(tuple, table.tolist())) for table in tables)
        finer = {"one_sided": dataclasses.replace(pairs, gradual=small)}
        quiet = {"one_sided": dataclasses.replace(pairs, gradual=plain)}
    changes: dict[str, Fields] = {
        f"steps {FINER} times finer": {} if device.levels else finer,
        "equal steps up and down": {} if device.levels or pairs else {"up": equal, "down": equal},
        "no write noise": quiet,
        "no read noise": {"read_noise": 0.0},
        "cells alike": spread,
        "no stuck cells": {"stuck": 0.0},
    }
    changes = {
        name: fields
        for name, fields in changes.items()
        if any(getattr(device, field) != value for field, value in fields.items())
    }
    both: Fields = {}
    for fields in changes.values():
        both |= fields
    if {"up", "down"} <= both.keys():
        both |= dict.fromkeys(("up", "down"), (device.mean_step / FINER,) * 2)
    several = len(changes) > 1 and not pairs
    return {AS_IT_IS: {}, **changes, **({EVERYTHING: both} if several else {})}


def runs_of(
    device: MeasuredDevice,
    seeds: int,
    shown: int | None,
    networks: Networks = NETWORKS,
    neurons: Chip | None = None,
) -> Iterator[Run]:
    """Yield all networks of the report; `shown`: most presentations; `neurons`: their spreads."""

    def run(network: str, device: MeasuredDevice, late: bool, seed: int, **columns: object) -> Run:
        data, layers, _ = networks[network]
        result = Run(Recipe(layers, device, LATE if late else AT_ONCE, seed=seed), data)
        if shown:
            usual = result.prepared()[1].presentations
            result = result.changed({"rule.presentations": min(shown, usual)})
        known: Fields = {
            "device": device.name,
            "write": LATE if late else AT_ONCE,
            "network": network,
        }
        known |= {"variant": AS_IT_IS, "cells": 0.0, "section": "accuracy"}
        return dataclasses.replace(result, columns=known | columns)

    for late in ways_of(device):
        for network in networks:
            for seed in range(1, seeds + 1):
                yield run(network, device, late, seed)
        for seed in range(1, seeds + 1):
            for name, fields in variants(device).items():
                variant = dataclasses.replace(device, **fields)
                if fields:
                    yield run(ONE, variant, late, seed, variant=name, section="limits")
            for spread in SPREADS:
                variant = dataclasses.replace(device, spread=spread, range_spread=spread)
                yield run(ONE, variant, late, seed, cells=spread, section=CELLS)
            for factor in FACTORS[1:] if neurons else ():
                own = run(ONE, device, late, seed, cells=factor, section=NEURONS)
                spreads = vars(neurons).items()
                yield own.changed(
                    {f"chip.{name}": factor * value for name, value in spreads if "neuron_" in name}
                )


def ways_of(device: MeasuredDevice) -> tuple[bool, ...]:
    """Return the ways in which the device is written: True is late."""
    # rounded writes of devices with one gradual direction take many times the pulses
    return (False,) if device.levels else (True,) if device.one_sided else (False, True)


def answer(run: Run) -> Fields:
    """Return the row of a run: accuracy and pulses. The first seed of the device as it is has
    energies and times, too, and one layer has accuracies at later ages. Runs in a worker.
    """
    device, more = run.recipe.device, {}
    assert isinstance(device, MeasuredDevice)
    if run.columns["section"] == "accuracy" and run.recipe.seed == 1:
        network, rule = run.prepared()
        accounts = Accounts(Technology(), device)
        costs = accounting.training(network, rule, *run.dataset.training, accounts, *MOMENTS)
        assert costs.network and costs.counts
        trained = costs.network, rule, costs.counts
        more = costs_of(run, costs, accounts)
    else:
        trained = run.trained()
    row, problems = examined(run, trained)
    is_last = (run.recipe.write == LATE) == ways_of(device)[-1]
    ages = device.drifts or device.retention
    if run.columns["section"] == "accuracy" and run.columns["network"] == ONE and is_last and ages:
        more |= over_time(run, trained)
    return row | more | {"problem": problems[0].partition(";")[0] if problems else ""}


def costs_of(run: Run, costs: accounting.TrainingCosts, accounts: Accounts) -> dict[str, float]:
    """Return energies and times of a mean inference and of the training of the trained network."""
    assert costs.network
    images = run.dataset.training.levels[:READS]
    reads = [accounting.inference(costs.network, image, accounts) for image in images]
    row: dict[str, float] = {}
    for name, ledger in {"inference": mean(reads), "training": costs.ledger}.items():
        row |= {f"{name}_J": ledger.sum(), f"{name}_s": ledger.duration}
    return row


def over_time(
    run: Run,
    trained: tuple[Network, LayeredRule, Counts],
    ages: Sequence[float] = AGES,
    relearned: int = RELEARNED,
) -> dict[str, float]:
    """Return the accuracies of a trained network at each of some `ages` in s, and after `relearned`
    presentations there.
    """
    network, rule, _ = trained
    test, short = run.dataset.test, dataclasses.replace(rule, presentations=relearned)
    row = {}
    for age in ages:
        old = network.aged(age)
        again = learn(old, short, *run.dataset.training).network
        for name, one in (("aged", old), ("relearned", again)):
            scores = score_row(test.labels, one.first_spikes(test.levels))
            row[f"{name} {age:g}"] = scores["strict_accuracy"]
    return row


def warn_of_failures(rows: pd.DataFrame) -> None:
    """Warn once of each kind of network that does not work as it should, with the first cause."""
    for (network, way), group in rows.groupby(["network", "write"]):
        causes = [text for text in group.get("problem", []) if isinstance(text, str) and text]
        if causes:
            warnings.warn(
                f"{network}, written {way}: {len(causes)} of {len(group)} networks fail, the first "
                f"because {causes[0]}. Their accuracies say little of the device",
                OperatingRangeWarning,
                stacklevel=2,
            )


# Sections of the page


def described(device: MeasuredDevice) -> pd.DataFrame:
    """Return the device's properties as a table."""
    factor, unit = prefixed(device.highest_conductance, "S")
    low, high = factor * device.lowest_conductance, factor * device.highest_conductance
    rows = [("conductance", f"{low:.3g} to {high:.3g} {unit}", "x = 0 to x = 1")]
    if pulses := device.one_sided:
        word = "up" if pulses.sign > 0 else "down"
        rows.append((f"gradual pulse {word}", f"{pulses.mean_step:.1%}", "of the range, mean"))
        rows.append(("its noise", f"{pulses.noise:.1%}", "of the range"))
        rows.append(("abrupt pulse", f"to x = {np.mean(pulses.abrupt):.2f}", "mean"))
    for way in () if device.levels or pulses else ("up", "down"):
        steps = (f"{device.step(x, way == 'up'):.2%}" for x in (0.0, 0.5, 1.0))
        rows.append((f"pulse {way}", ", ".join(steps), "of the range at x = 0, 0.5 and 1"))
        rows.append((f"pulses {way}", f"{device.pulses(way == 'up'):,.0f}", "across the range"))
    for field in dataclasses.fields(device):
        value, about = getattr(device, field.name), field.metadata
        if about.get("unit") is not None and value and "conductance" not in field.name:
            name = field.name.replace("_", " ")
            rows.append((name, f"{value:.3g} {about['unit']}".strip(), about["meaning"]))
    return pd.DataFrame(rows, columns=["property", "value", "meaning"])


def device_section(given: Given) -> Section:
    """Return the device, its curves, and what its data did not tell."""
    device, source = given.device, given.source
    texts = [f"Source: {source}."] if source else []
    if device.model:
        texts.append(
            "Measured in ngspice: steps, conductances and x without voltage, of one device without "
            "noise. Ideal: sources, switches, wires and neurons. Networks follow the curves."
        )
    texts += [f"{text[:1].upper()}{text[1:]}." for text in given.told]
    if given.figure:
        return Section("The device", texts, described(device), given.figure)
    return Section("The device", texts, described(device), curves(device), "device")


def curves(device: MeasuredDevice) -> Figure:
    """Draw the steps of a device over its conductance, or the levels that its gate sets."""
    if device.one_sided:
        return one_sided_steps([device])
    if not device.levels:
        return steps(device)
    factor, unit = prefixed(device.highest_conductance, "S")
    figure, axis = plt.subplots(figsize=(0.6 * WIDTH, 3.0))
    gate = np.linspace(device.gate_low, device.gate_high, len(device.levels))
    axis.plot(gate, factor * device.conductance(np.array(device.levels)), color=BLUE)
    axis.set(xlabel="gate voltage of SET (V)", ylabel=f"conductance ({unit})")
    return figure


def published(networks: Networks) -> pd.DataFrame:
    """Return the rows of the published devices, from records of `memristive compare`."""
    tables = [
        load_table(path).assign(network=network)
        for network, (*_, name) in networks.items()
        if (path := PUBLISHED / f"{name}.json").exists()
    ]
    return pd.concat(tables) if tables else pd.DataFrame()


def accuracy_section(
    given: Given, rows: pd.DataFrame, others: pd.DataFrame, shown: int | None
) -> Section:
    """Return accuracies in each network, at once and late, beside `others`, the rows of published
    devices. `shown`: most presentations of this device; None: as many as of the others.
    """
    own, device = rows[rows["section"] == "accuracy"], given.device
    names = list(dict.fromkeys(own["network"]))
    if len(others):
        others = others[others["device"] != device.name]
    means = means_of(pd.concat([own, others]), ["device", "network", "write"])
    texts_of = means.assign(
        text=[
            f"{mean:.1f} ± {std:.1f}" if seeds > 1 else f"{mean:.1f}"
            for mean, std, seeds in zip(means["mean"], means["std"], means["seeds"], strict=True)
        ]
    )
    kinds = [(network, way) for network in names for way in (AT_ONCE, LATE)]
    wide = texts_of.pivot(index="device", columns=["network", "write"], values="text")
    order = means.groupby("device")["mean"].mean().sort_values(ascending=False).index
    wide = wide.reindex(index=order, columns=kinds).fillna("")
    wide.columns = [f"{network}, {way} (%)" for network, way in kinds]
    texts = [
        "Strict accuracy on all test images: silent and tied images count as wrong. One layer "
        "(100-10) learns MNIST's grey 10x10 images, two layers (400-100-10) the central 20x20 "
        "pixels, the convolution scikit-learn's 8x8 digits. Each synapse is a differential pair. "
        "Pulses are written at once, fractions rounded at random; or late, when a capacitor's "
        "doses add up to a pulse. Of several seeds, mean and standard deviation.",
        *(f"{text}." for text in given.warning),
    ]
    if device.levels:
        texts.append("Cells with a gate have no late writes: doses wait at the gate already.")
    if device.one_sided:
        texts.append(
            "Rounded writes of devices with one gradual direction take many times the pulses, and "
            "are left out."
        )
    note = f"{device.name}: {shown:,} presentations at most, others: all" if shown else ""
    texts += [f"{note}. So differences of a point or two say nothing."] if shown else []
    figure = ranking(means, device.name, list(order), note)
    return Section(
        "Accuracy beside published devices", texts, wide.reset_index(), figure, "accuracy"
    )


def ranking(means: pd.DataFrame, own: str, order: list[str], note: str) -> Figure:
    """Draw accuracies: a panel for each network, a line for each device, a mark for each way. The
    `note` stands above.
    """
    height = 1.3 + 0.28 * len(order)
    networks = list(dict.fromkeys(means["network"]))
    figure, axes = plt.subplots(
        1, len(networks), figsize=(WIDTH, height), sharey=True, squeeze=False
    )
    for axis, network in zip(axes[0], networks, strict=True):
        dots(axis, means[means["network"] == network], "device", order)
        axis.axhspan(order.index(own) - 0.5, order.index(own) + 0.5, color=GREY, alpha=0.2, lw=0)
        axis.set(title=network, xlabel="test accuracy (%)")
    axes[0, 0].get_yticklabels()[order.index(own)].set_fontweight("bold")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        title="\n".join(filter(None, ["bars: lowest to highest seed", note])),
    )
    return figure


def limits_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means of one layer, with each fault removed in turn."""
    used = rows[(rows["network"] == ONE) & rows["section"].isin(["accuracy", "limits"])]
    return means_of(used, ["variant", "write"])


def limits_section(rows: pd.DataFrame) -> Section:
    """Return what limits the accuracy of one layer."""
    means = limits_of(rows)
    names = list(dict.fromkeys(means["variant"]))
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 1.2 + 0.3 * len(names)))
    dots(axis, means, "variant", names)
    axis.set_xlabel("test accuracy of one layer (%)")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", title="written")
    texts = [
        "One layer learns again with a device that lacks one fault; all settings follow from this "
        f"device. Finer steps: all steps divided by {FINER}, and the noise of a pulse by its root, "
        "so that crossing the range is as noisy as before. Equal steps: both curves are the mean "
        "step at each state."
    ]
    return Section("What limits it", texts, over_ways(means, "variant"), figure, "limits")


def over_ways(means: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return mean accuracies in % as text: a row for each value of the column `kind`, a column for
    each way to write.
    """
    texts = means.assign(text=means["mean"].map("{:.1f}".format))
    wide = texts.pivot(index=kind, columns="write", values="text").reindex(means[kind].unique())
    return wide.add_suffix(" (%)").rename_axis(columns=None).reset_index()


def tolerance_section(rows: pd.DataFrame, section: str) -> Section:
    """Return accuracy over the spread of the `CELLS` or `NEURONS` of a section."""
    used = rows[(rows["network"] == ONE) & rows["section"].isin(["accuracy", section])]
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.0))
    for way, group in used.groupby("write", sort=False):
        groups = (100 * group["strict_accuracy"]).groupby(group["cells"])
        look = {"color": COLOUR_OF[str(way)], "markersize": 4, "label": way}
        over_seeds(axis, groups.mean().index, groups, **look)
    title, what, label = OF_SPREAD[section]
    axis.set(xlabel=label, ylabel="test accuracy (%)")
    axis.grid(alpha=0.3)
    axis.legend(title="written")
    table = over_ways(means_of(used, ["cells", "write"]), "cells").rename(columns={"cells": label})
    text = f"The same layer on chips whose {what}. The network learns on the chip."
    return Section(title, [text], table, figure, section)


def time_section(rows: pd.DataFrame) -> list[Section]:
    """Return what time does, if the device states a law."""
    if AGED not in rows:
        return []
    aged = rows[rows[AGED].notna()]
    table = pd.DataFrame(
        {
            "age (s)": [f"{age:g}" for age in AGES],
            **{
                f"{name} (%)": [f"{100 * aged[f'{name} {age:g}'].mean():.1f}" for age in AGES]
                for name in ("aged", "relearned")
            },
        }
    )
    texts = [
        "One layer after a time without a write, by the law in the device file, and after "
        f"{RELEARNED:,} presentations in situ at this age (docs/drift.md)."
    ]
    return [Section("What time does", texts, table)]


def wear_section(rows: pd.DataFrame) -> Section:
    """Return pulses a cell, and how many trainings a life has."""
    endurance = Technology().endurance
    own = rows[rows["section"] == "accuracy"]
    groups = own.groupby(["network", "write"], sort=False)
    means = groups[["presentations", "pulses_per_cell", "most_pulses"]].mean().reset_index()
    table = pd.DataFrame(
        {
            "network": means["network"],
            "written": means["write"],
            "presentations": [f"{value:,.0f}" for value in means["presentations"]],
            "pulses a cell": [f"{value:,.1f}" for value in means["pulses_per_cell"]],
            "most of a cell": [f"{value:,.0f}" for value in means["most_pulses"]],
            "trainings in a life": [f"{endurance / value:,.0f}" for value in means["most_pulses"]],
        }
    )
    texts = [
        f"A life is taken as {endurance:,.0f} pulses, the lower end of what resistive memories "
        "reach (capacitors of transistors' cells do not wear); put your own number in its place. "
        "It ends when the cell with the most pulses has had as many."
    ]
    return Section("Pulses and endurance", texts, table)


def energy_section(device: MeasuredDevice, rows: pd.DataFrame) -> Section:
    """Return energy and time of an inference and of a training."""
    costs = rows[rows["inference_J"].notna()]
    columns: Fields = {"network": costs["network"], "written": costs["write"]}
    for name in ("inference", "training"):
        for unit in "Js":
            values = costs.get(f"{name}_{unit}", pd.Series(np.nan, costs.index))
            columns[f"{name}, {'energy' if unit == 'J' else 'time'}"] = [
                "" if np.isnan(value) else with_unit(value, unit) for value in values
            ]
    pulses = ", ".join(
        f"{with_unit(volts, 'V')} for {with_unit(seconds, 's')} {word}"
        for volts, seconds, word in (
            (device.voltage_up, device.width_up, "up"),
            (device.voltage_down, device.width_down, "down"),
        )
    )
    if device.source.startswith("fitted"):
        pulses += " (readings do not tell them: put yours into the device file)"
    if device.supply_energy:
        pulses += f", each with {with_unit(device.supply_energy, 'J')} from supplies within a cell"
    texts = [
        "Cells, wires, drivers, op-amps and, of late writes, capacitors and comparators; values "
        "that the circuit does not fix are assumed (docs/costs.md). Times belong to the paper's "
        "slow circuit, and a convolution reads its patches one after the other. "
        f"Pulses: {pulses}. Inference: mean of {READS} images. Training: counted pulses and "
        "errors; the energies of reads and errors are means of some images at several moments."
    ]
    return Section("Energy and time", texts, pd.DataFrame(columns))


def advice_of(rows: pd.DataFrame) -> list[str]:
    """Return three sentences: what to improve first, what then, and what would not help. From one
    seed follows no standard error, so then only what was reached.
    """
    means = {
        (str(row["variant"]), str(row["write"])): (
            float(row["mean"]),
            float(row["std"]) / math.sqrt(row["seeds"]),  # nan from one seed
        )
        for row in limits_of(rows).to_dict("records")
    }
    best = max((AT_ONCE, LATE), key=lambda way: means.get((AS_IT_IS, way), (0.0, 0.0))[0])
    reached, error = means[AS_IT_IS, best]
    layer = f"one layer has {reached:.1f} % as the device is, written {best}"
    if math.isnan(error):
        return [f"O{layer[1:]}.", "One seed shows no clear difference: repeat it with --seeds 3."]
    gains = {}  # of each change: points, and their standard error
    for (name, way), (average, of_mean) in means.items():
        both = math.hypot(error, of_mean)
        if name == AS_IT_IS and way != best:
            gains[f"write {best}"] = reached - average, both
        elif name not in (AS_IT_IS, EVERYTHING) and way == best:
            gains[name] = average - reached, both
    if AGED in rows:
        old = 100 * rows[AGED].dropna()
        lost, of_mean = reached - old.mean(), float(old.std() / math.sqrt(len(old)))
        gains[f"cells that keep their state for {AGES[-1]:g} s"] = lost, of_mean
    clear = sorted(
        (name for name, (gain, se) in gains.items() if gain >= max(WORTH, CLEAR * se)),
        key=lambda name: -gains[name][0],
    )
    said = [
        "{}, {:+.1f} points (standard error {:.1f}){}".format(
            *(name, *gains[name]), "" if name.startswith("write") else f" if it is written {best}"
        )
        for name in clear
    ]
    first = f"First: {said[0]}; {layer}." if said else f"No change stands out: {layer}."
    then = f"Then: {said[1]}." if said[1:] else "No other change stands out."
    rest = ", ".join(name for name in gains if name not in clear[:2])
    last = f"Little or nothing would come of: {rest}." if rest else "All changes help."
    if means.get((EVERYTHING, best), (0.0, 0.0))[0] > reached:
        last += f" With all changes one layer has {means[EVERYTHING, best][0]:.1f} %."
    return [first, then, last]


def page(device: MeasuredDevice, sections: Sequence[Section], seeds: int, shown: int | None) -> str:
    """Return the report as HTML, with its figures inside; `shown`: most presentations."""
    short = f", {shown:,} presentations at most (published devices: all)" if shown else ""
    title = html.escape(f"{device.name}: what it is worth in a network that learns")
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>",
        f"<p>Made by memristive {memristive.__version__}, in closed form, with {seeds} "
        f"seed{'s' * (seeds > 1)}{short}.</p>",
    ]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        if section.title == "The device":
            texts = "".join(f"<li>{html.escape(text)}</li>" for text in section.texts)
            parts.append(f"<ul>{texts}</ul>")
        else:
            parts += [f"<p>{html.escape(text)}</p>" for text in section.texts]
        if section.table is not None:
            table = section.table.to_html(index=False, border=0)
            own = f"<tr>\n      <td>{html.escape(device.name)}</td>"
            parts.append(f"<div>{table.replace(own, own.replace('<tr>', '<tr class=own>'))}</div>")
        if section.figure:
            drawn = io.BytesIO()
            section.figure.savefig(drawn, format="svg", metadata={"Date": None})
            data = base64.b64encode(drawn.getvalue()).decode()
            alt = html.escape(section.title)
            source = f"data:image/svg+xml;base64,{data}"
            parts.append(f'<figure><img alt="{alt}" src="{source}"></figure>')
    return "\n".join(parts) + "</body></html>\n"
