"""Tables of measured devices as Markdown: presets, exports, learning, late and gated writes,
arrays.
"""

from typing import Any

import numpy as np
import pandas as pd

from memristive.devices.measured_device import DEVICES as MEASURED
from memristive.devices.measured_device import GATE_DEVICES, ONE_SIDED_DEVICES
from memristive.io.records import load_results, load_table
from studies.drift import (
    FOLLOWING,
    KINDS,
    LAST,
    LATER,
    LAYERS,
    PAIRS,
    REFERENCE,
    RELEARNED,
    RELEARNED_AT,
    SPREAD,
    SPREADS,
    TOGETHER,
    YEAR,
)
from studies.half_select import MODELS, best
from studies.sweeps import AT_ONCE, LI, NEUROSIM, WAITS, WANG
from tools.markdown import markdown, percent
from tools.networks import RESULTS

# sets of data of `studies.late_factorial`, with the headings of their columns
LATE_DATA = {
    "mnist": "MNIST, 100,000",
    "mnist-short": "MNIST, 3,000",
    "digits": "digits, 60,000",
    "iris": "iris, 4,000",
    "wine": "wine, 4,000",
}


def device_presets_table() -> str:
    """Return the table of the presets of measured devices. Steps are shares of the range, at the
    first and at the last pulse of a sweep.
    """
    rows = [
        (
            one.name,
            f"{one.pulses(True):.0f}, {one.pulses(False):.0f}",
            f"{one.up[0]:.2%} to {one.up[-1]:.2%}",
            f"{one.down[-1]:.2%} to {one.down[0]:.2%}",
            f"{one.on_off_ratio:.3g}",
            f"{one.write_noise:.1%}, {one.read_noise:.1%}",
        )
        for one in MEASURED.values()
    ]
    columns = "device", "pulses up, down", "steps up", "steps down", "on/off", "noise: write, read"
    return markdown(columns, rows)


def gate_presets_table() -> str:
    """Return the table of the presets of 1T1R cells that are written at the gate."""
    rows = [
        (
            one.name,
            f"{one.gate_low:g} to {one.gate_high:g}",
            f"{1e6 * one.lowest_conductance:.0f} to {1e6 * one.highest_conductance:.0f}",
            f"{one.write_noise:.1%}, {one.read_noise:.1%}",
            f"{one.stuck:.0%}",
        )
        for one in GATE_DEVICES.values()
    ]
    return markdown(("device", "gate/V", "conductance/uS", "noise: write, read", "stuck"), rows)


def one_sided_presets_table() -> str:
    """Return the table of the presets with one gradual direction: mean and standard deviation of a
    gradual step over all x, mean x after an abrupt pulse.
    """
    rows = [
        (
            one.name,
            "up" if found.sign > 0 else "down",
            f"{found.mean_step:.1%}, {found.noise:.1%}",
            f"{np.mean(found.abrupt):.2f}",
            f"{one.on_off_ratio:.3g}",
            f"{one.read_noise:.1%}",
        )
        for one in ONE_SIDED_DEVICES.values()
        if (found := one.one_sided)
    ]
    return markdown(
        ("device", "gradual", "step, noise", "abrupt to x", "on/off", "read noise"), rows
    )


def one_sided_table() -> str:
    """Return the table of the sweep one_sided: accuracies, pulses and refreshes of a cell."""
    found = load_table(RESULTS / "devices/one_sided.json")
    means = found.groupby(["data", "layers", "device", "late"]).mean(numeric_only=True)
    lowest = found.groupby(["data", "layers", "device", "late"]).strict_accuracy.min()

    def cell(*case: Any) -> str:
        if case not in means.index:
            return ""
        one = means.loc[case]
        accuracy = f"{100 * one.strict_accuracy:.1f} ({100 * lowest[case]:.1f})"
        return f"{accuracy}; {one.pulses_per_cell:,.0f}, {one.refreshes_per_cell:,.1f}"

    rows = [
        (
            f"{data}, {'one layer' if layers == 1 else 'two layers'}",
            device,
            *(cell(data, layers, device, late) for late in (True, False)),
        )
        for data, layers, device in found[["data", "layers", "device"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    return markdown(("images", "device", "late", "rounded"), rows)


def device_noises_table() -> str:
    """Return the table of how often the intervals of fitted noises hold the truth."""
    names = ("sweeps", "every", "fits", "write_noise", "read_noise", "equal_noises")
    rows = load_results(RESULTS / "devices/device_noises.json")["rows"]
    return markdown(
        (
            "sweeps",
            "pulses between readings",
            "devices",
            "write noise in its interval",
            "read noise in its interval",
            "noises not told apart",
        ),
        [[str(row[name]) for name in names] for row in rows],
    )


def trained_in_situ_table() -> str:
    """Return the table of the epochs until the letters z, v, n and XOR are learned without error,
    with the published number.
    """
    record = load_results(RESULTS / "devices/trained_in_situ.json")
    rows = []
    for (device, rule), found in pd.DataFrame(record["rows"]).groupby(
        ["device", "rule"], sort=False
    ):
        epochs = found.epochs.dropna()
        rows.append(
            (
                device,
                "XOR, hidden layer" if rule == "xor" else f"letters, {rule}",
                f"{len(epochs)} of {len(found)}",
                f"{epochs.mean():.1f} ({epochs.min():.0f}-{epochs.max():.0f})",
            )
        )
    rows.append(("published", "letters, manhattan", "", f"{record['published_epochs']}"))
    return markdown(
        ("devices", "task, rule", "networks without an error", "epochs: mean (range)"), rows
    )


def device_learning_table() -> str:
    """Return the table of accuracies of networks of measured devices beside NeuroSim's."""
    found = load_table(RESULTS / "devices/device_learning.json")
    cases = ["device", "layers", "pairs", "whole"]
    accuracies = found[found.data == "mnist"].groupby(cases, sort=False).strict_accuracy.mean()

    def accuracy(device: str, *case: Any) -> str:
        return (
            f"{100 * float(accuracies[device, *case]):.1f}" if (device, *case) in accuracies else ""
        )

    rows = [
        (
            device,
            "/".join(
                f"{value:g}" if value else "-" for value in NEUROSIM.get(device, (None, None))
            ),
            *(
                accuracy(device, layers, pairs, whole)
                for layers in (1, 2)
                for pairs, whole in ((0, True), (1, True), (4, True), (1, False))
            ),
        )
        for device in accuracies.index.unique("device")
    ]
    kinds = ("pair", "4 pairs", "any width")
    return markdown(
        ("device", "NeuroSim 2.0/3.0", "one layer: single", *kinds, "two layers: single", *kinds),
        rows,
    )


def writes_late_table() -> str:
    """Return the table of accuracies and pulses a cell of networks with one layer and one pair for
    each weight: a column for each way of `studies.sweeps late_ways`.
    """
    return _ways(1)


def writes_late_deep_table() -> str:
    """Return the table of `writes_late_table` for networks of two layers."""
    return _ways(2)


def _ways(layers: int) -> str:
    found = load_table(RESULTS / "devices/late_ways.json")
    groups = found[found.layers == layers].groupby(["device", "value"], sort=False)
    means, spread = groups.mean(numeric_only=True), groups.strict_accuracy.std()
    ways = list(found["value"].unique())
    return markdown(
        ("device", *ways),
        [
            (
                device,
                *(
                    f"{100 * one.strict_accuracy:.1f} ± {100 * spread[device, way]:.1f} "
                    f"({one.pulses_per_cell:,.0f})"
                    for way in ways
                    for one in [means.loc[(device, way)]]
                ),
            )
            for device in found.device.unique()
        ],
    )


def writes_late_factors_table() -> str:
    """Return the table of `studies.late_factorial` on MNIST: accuracies and pulses a cell with the
    settings of late writes, then those of late writes with the settings of rounded writes. The
    table `writes_late` has each way with noise and its own settings.
    """
    found = load_table(RESULTS / "devices/late_factorial_mnist.json")
    groups = found[~found.flat].groupby(["device", "settings", "noise", "way"], sort=False)
    means, spread = groups.mean(numeric_only=True), groups.strict_accuracy.std()

    def cell(device: str, settings: str, noise: bool, way: str, pulses: bool = False) -> str:
        case: Any = (device, settings, noise, way)
        one = means.loc[case]
        accuracy = f"{100 * one.strict_accuracy:.1f} ± {100 * spread[case]:.1f}"
        return accuracy + (f" ({one.pulses_per_cell:,.0f})" if pulses else "")

    ways = ("any width", "rounded", "late")
    return markdown(
        (
            "device",
            *(f"no noise: {way}" for way in ways),
            *(f"noise: {way}" for way in ways[:2]),
            "late, settings of rounded writes",
        ),
        [
            (
                device,
                *(cell(device, "late", False, way) for way in ways),
                cell(device, "late", True, "any width"),
                cell(device, "late", True, "rounded", pulses=True),
                cell(device, "rounded", True, "late", pulses=True),
            )
            for device in found.device.unique()
        ],
    )


def writes_late_data_table() -> str:
    """Return the table of `studies.late_factorial` on all sets of data: accuracy of late writes
    minus that of rounded writes, each with its own settings and with noise; mean and standard error
    of the paired differences.
    """
    columns = {}
    for data in LATE_DATA:
        found = load_table(RESULTS / f"devices/late_factorial_{data}.json")
        found = found[~found.flat & found.noise & (found.settings == found.way)]
        accuracies = found.pivot_table("strict_accuracy", ["device", "seed"], "way")
        gains = (100 * (accuracies.late - accuracies.rounded)).groupby("device")
        columns[data] = [
            f"{mean:+.1f} ± {error:.1f}"
            for mean, error in zip(gains.mean(), gains.sem(), strict=True)
        ]
        devices = accuracies.index.get_level_values("device").unique()
    return markdown(
        ("device", *LATE_DATA.values()), list(zip(devices, *columns.values(), strict=True))
    )


def writes_gate_table() -> str:
    """Return the table of accuracies and writes a cell of 1T1R cells that are written at each dose,
    or only after a step of the gate voltage.
    """
    found = load_table(RESULTS / "devices/gate_commit.json")
    means = found.groupby(["device", "size", "series", "value", "way"]).mean(numeric_only=True)
    cases: list[tuple[str, tuple[Any, ...]]] = [
        ("li-1t1r", (LI, 10, "usual", 0.0)),
        ("no scatter", (LI, 10, "scatter", 0.0)),
        ("scatter 9 %", (LI, 10, "scatter", 0.09)),
        ("no stuck cells", (LI, 10, "stuck", 0.0)),
        ("30 % stuck", (LI, 10, "stuck", 0.3)),
        ("wang-1t1r", (WANG, 10, "usual", 0.0)),
        ("li-1t1r, 8x8 images, 64-54-10", (LI, 8, "usual", 0.0)),
    ]
    rows = [
        (
            title,
            *(
                f"{100 * means.strict_accuracy[(*case, way)]:.1f} "
                f"({means.pulses_per_cell[(*case, way)]:,.0f})"
                for way in (AT_ONCE, WAITS)
            ),
        )
        for title, case in cases
    ]
    return markdown(("cells", "a write at each dose", "with a step"), rows)


def gate_cells_table() -> str:
    """Return the table of epochs and writes of filaments with transistors that learn in ngspice."""
    found, rows = load_table(RESULTS / "devices/gate_cells.json"), []
    for task, of_task in found.groupby("task", sort=False):
        epochs = of_task.epochs.dropna()
        shown = f"{epochs.mean():.1f} ({epochs.min():.0f}-{epochs.max():.0f})"
        row = (f"{len(epochs)} of {len(of_task)}", shown, f"{of_task.writes_per_cell.mean():.1f}")
        rows.append((task, *row))
    heading = ("task", "networks without an error", "epochs: mean (range)", "writes of a cell")
    return markdown(heading, rows)


def passive_models_table() -> str:
    """Return the table of r of SPICE models, and of accuracies with access switches and in passive
    arrays, each with its best dose.
    """
    found = load_table(RESULTS / "devices/half_select.json")
    rows: dict[str, dict[str, str]] = {model: {} for model in MODELS}
    for case in best(found[found.device.isin(MODELS)]).to_dict("records"):
        rows[case["device"]] |= {
            f"r {case['scheme']}": f"{100 * case['r_up']:.2f}/{100 * case['r_down']:.2f}%",
            case["scheme"]: percent(case["strict_accuracy"]),
        }
    columns = ("r v/2", "r v/3", "1t1r", "v/2", "v/3")
    return markdown(
        ("model", "r at V/2, up/down", "r at V/3", "accuracy: 1t1r", "v/2", "v/3"),
        [
            (model, *(values.get(column, "") for column in columns))
            for model, values in rows.items()
        ],
    )


def _of_drift() -> dict[Any, dict[str, Any]]:
    """Return the means over the seeds of networks whose cells drift, by kind of cells, spread,
    case, age and presentations of relearning.
    """
    found = load_table(RESULTS / "devices/drift.json").fillna({"age": 0.0, "relearned": 0.0})
    keys = ["kind", "spread", "case", "age", "relearned"]
    means = found.groupby(keys).mean(numeric_only=True)
    return dict(zip(means.index, means.to_dict("records"), strict=True))


def drift_ages_table() -> str:
    """Return the table of accuracies over the age of the cells, for several cells."""
    found = load_table(RESULTS / "devices/drift.json")
    ages = {1e3: "1e3 s", 1e5: "1e5 s", 1e7: "1e7 s", YEAR: "a year (lowest to highest)"}
    cases = [
        *((PAIRS, spread) for spread in (0.0, *SPREADS)),
        *((kind, SPREAD) for kind in KINDS[1:]),
        (LAYERS, 0.0),
    ]
    rows = []
    for kind, spread in cases:
        own = found[(found.kind == kind) & (found.spread == spread)]
        trained = 100 * own[own.case == "trained"].strict_accuracy
        values = 100 * own[own.case == "aged"].set_index("age").strict_accuracy
        last = f" ({values[YEAR].min():.0f} to {values[YEAR].max():.0f})"
        row = [f"{values[age].mean():.1f}{last * (age == YEAR)}" for age in ages]
        rows.append((f"{kind}, spread {spread:g}", f"{trained.mean():.1f}", *row))
    return markdown(("cells", "trained", *ages.values()), rows)


def drift_relearned_table() -> str:
    """Return the table of accuracies, pulses and energy of relearning."""
    means, rows = _of_drift(), []
    for n in RELEARNED:
        cases = [(SPREAD, age) for age in RELEARNED_AT]
        cases += [(spread, LAST) for spread in (SPREADS[0], SPREADS[-1])]
        shown = (
            percent(means[PAIRS, spread, "relearned", age, n]["strict_accuracy"], 1)
            for spread, age in cases
        )
        row = means[PAIRS, SPREAD, "relearned", LAST, n]
        joules = means[PAIRS, SPREAD, "energy", 0.0, n]["joules"]
        costs = f"{row['pulses']:.1f}", percent(row["written"], 0), f"{1e3 * joules:.1f}"
        rows.append((f"{n:,}", *shown, *costs))
    ages = [_power(age) for age in RELEARNED_AT]
    ages += [f"{_power(LAST)}, spread {spread:g}" for spread in (SPREADS[0], SPREADS[-1])]
    costs = "pulses of a cell", "cells written", "energy (mJ)"
    return markdown(("presentations", *ages, *costs), rows)


def drift_waited_table() -> str:
    """Return the table of accuracies some time after a relearning, and after a second one."""
    means, rows = _of_drift(), []
    cases = {
        "pairs, spread 0": (PAIRS, 0.0, "waited"),
        f"pairs, spread {SPREAD:g}": (PAIRS, SPREAD, "waited"),
        "relearned again": (PAIRS, SPREAD, "relearned twice"),
        "reference column": (REFERENCE, SPREAD, "waited"),
        "relearned again ": (REFERENCE, SPREAD, "relearned twice"),
    }
    for wait in LATER:
        shown = (
            percent(means[*case, wait, TOGETHER]["strict_accuracy"], 1) for case in cases.values()
        )
        rows.append((_power(wait), *shown))
    return markdown(("wait", *cases), rows)


def drift_followed_table() -> str:
    """Return the table of accuracies, and of first spikes, if thresholds or gains follow a column
    of drifting cells.
    """
    means, rows = _of_drift(), []
    for kind, spread in ((PAIRS, SPREAD), (LAYERS, 0.0), (LAYERS, SPREAD)):
        for age in RELEARNED_AT:
            found = (means[kind, spread, case, age, 0.0] for case in ("aged", *FOLLOWING))
            shown = (
                f"{percent(of['strict_accuracy'], 1)}, {1e6 * of['first_spike_s']:.0f} us"
                for of in found
            )
            rows.append((f"{kind}, spread {spread:g}", _power(age), *shown))
    return markdown(("network", "age", "nothing follows", *FOLLOWING), rows)


def _power(seconds: float) -> str:
    """Return a time in s as a power of ten."""
    return f"{seconds:.0e} s".replace("+0", "")


def drift_endurance_table() -> str:
    """Return the table of accuracies and worn cells over the number of trainings."""
    found = load_table(RESULTS / "devices/drift_endurance.json")
    means = found.groupby(["way", "training"], sort=False).mean(numeric_only=True)
    numbers = (1, 2, 4, 8, 12)
    rows = []
    for way in means.index.unique("way"):
        of_way = means.loc[way]
        shown = (
            f"{percent(of_way.strict_accuracy[n], 1)} ({percent(of_way.stuck[n], 0)})"
            for n in numbers
        )
        rows.append((way, f"{of_way.pulses_per_cell[1]:.0f}", *shown))
    return markdown(("way", "pulses of a cell", *(f"training {n}" for n in numbers)), rows)
