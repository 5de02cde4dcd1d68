"""Figures that several scripts draw, in one style and with units. Functions that draw a whole
figure return it.

Fonts and colours are set only where the user has set none: a style that is used before the import
stays (`plt.style.use`, a matplotlibrc). Colour-blind readers can tell the colours apart: M. Okabe
and K. Ito (2008), viridis, cividis.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from memristive.closed_form import neuron
from memristive.io.records import report, write_file
from memristive.learning.hebbian import Inference
from memristive.network.crossbar import Crossbar, Race
from memristive.network.design import Setup
from memristive.parameters import Fields
from memristive.scores.decisions import RESOLUTION, UNDECIDED, decide, decision_name, lead

if TYPE_CHECKING:  # the import of pandas takes long
    from pandas.api.typing import SeriesGroupBy

    from memristive.devices.measured_device import MeasuredDevice


BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
    "#888888",
)
# without Okabe and Ito's yellow, too pale for lines
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
WIDTH = 8.0  # in, which a README shows without shrinking
HIGHEST = 8.0  # in, of a heat map
HEAT_MAP_COLUMNS = 800  # time points of a heat map, about as many as its axis has pixels

THRESHOLD: Fields = {"color": GREY, "linestyle": ":", "linewidth": 1.2}  # look of a line

LOOK: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "figure.dpi": 100,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.4,
    "axes.prop_cycle": cycler(color=COLOURS),
    "image.cmap": "viridis",
    # no figure has ticks above, so there is no need to search a place for each title
    "axes.titley": 1.0,
    "axes.formatter.useoffset": False,
    "pdf.fonttype": 42,  # TrueType, because publishers refuse matplotlib's Type 3 fonts
}
plt.rcParams.update(
    {
        name: value
        for name, value in LOOK.items()
        if plt.rcParams[name] == matplotlib.rcParamsDefault[name]
    }
)
# metadata left out, by format
UNDATED = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def save(figure: Figure, path: Path | str) -> None:
    """Letter the panels of `figure`, write it in the format of the path's ending (.png, .pdf, .svg
    ...), close it, and print the path. A PNG file gets a second file beside it if matplotlib's
    `savefig.format` is another format, as with the option --pdf of scripts.

    The same data give the same bytes as PNG, PDF or SVG. Raises FileProblem if `path` cannot be
    written.
    """
    letter_panels(figure)
    kind = Path(path).suffix.removeprefix(".").lower()
    # Find all places once. Otherwise `savefig` draws twice, the first time for the places.
    figure.set_dpi(plt.rcParams["savefig.dpi"])
    engine = figure.get_layout_engine()
    if engine:
        engine.execute(figure)
    with plt.rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
        figure.set_layout_engine(None)
    for written in dict.fromkeys([kind, *([plt.rcParams["savefig.format"]] * (kind == "png"))]):
        file, image = Path(path).with_suffix(f".{written}"), io.BytesIO()
        with plt.rc_context({"svg.hashsalt": "memristive"}):  # for equal names of parts in SVG
            figure.savefig(image, format=written, metadata=UNDATED.get(written))
        write_file(file, image.getvalue())
        report(f"wrote {file}")
    plt.close(figure)


def letter_panels(figure: Figure) -> None:
    """Put (a), (b), (c) ... before the titles of panels, row by row, if there are several. Images
    without a scale are no panels.
    """
    panels = [
        axis
        for axis in figure.axes
        if axis.get_subplotspec() and axis.axison and len(axis.get_xticks())
    ]
    if 1 < len(panels) <= len(ascii_lowercase):
        for axis, letter in zip(panels, ascii_lowercase, strict=False):
            title = axis.get_title()
            if title:
                axis.set_title(f"({letter}) {title}")
            else:
                axis.set_title(f"({letter})", loc="left")


def over_seeds(axis: Axes, x: ArrayLike, runs: "SeriesGroupBy", **style: Any) -> None:
    """Draw means of `runs` (a group for each of `x`) as a line, lowest to highest as bars. `style`:
    arguments of `Axes.errorbar`.
    """
    low, high = runs.min(), runs.max()
    mean = runs.mean().clip(low, high)  # the mean of equal numbers may round to another one
    bars = [mean - low, high - mean]
    axis.errorbar(x, mean, bars, **{"fmt": "o-", "capsize": 2.5, **style})


# Scales, lines


def prefixed(values: ArrayLike, unit: str) -> tuple[float, str]:
    """Return a factor and the `unit` with an SI prefix, such as "mV" for "V". The largest of
    `values`, times the factor, lies between 1 and 1000 (from f to T).
    """
    largest = float(np.abs(values).max())
    power = int(np.clip(np.floor(np.log10(largest) / 3), -5, 4)) if largest > 0 else 0
    return 1e-3**power, "fpnµm kMGT"[power + 5].strip() + unit


def line_style(j: int, count: int) -> Fields:
    """Return the style of line j of `count` lines as arguments of `Axes.plot`. Lines are dashed
    once colours run out, and each line is thinner than those that it may cover.
    """
    return {
        "color": COLOURS[j % len(COLOURS)],
        "linestyle": ("-", (0, (3, 1.2)))[j // len(COLOURS) % 2],
        "linewidth": 2.6 - 1.6 * j / max(count - 1, 1),
    }


def cross(axis: Axes) -> None:
    """Draw a horizontal and a vertical line through 0, behind everything else."""
    axis.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    axis.axvline(0, color=GREY, linewidth=0.6, zorder=0)


# Patterns and weights


def lowest(axes: np.ndarray, count: int) -> list[Axes]:
    """Hide the panels of a grid after the first `count` ones, and return the lowest panel of each
    column, with numbers at its x axis. With fewer panels than columns, the list is empty.
    """
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    panels = list(axes.flat[count - axes.shape[1] : count])
    for axis in panels:
        axis.tick_params(labelbottom=True)
    return panels


def weight_images(
    states: np.ndarray, shape: tuple[int, int], labels: Sequence[str], quantity: str = "state X (V)"
) -> Figure:
    """Draw the states (classes x inputs) as one image of `shape` for each class. `quantity` is the
    label of the colour bar.
    """
    columns = len(labels) if len(labels) <= 6 else 5
    rows = -(-len(labels) // columns)
    height = 0.4 + rows * (0.3 + 0.8 * WIDTH / columns * shape[0] / shape[1])
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False)
    norm = Normalize(np.min(states), np.max(states))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, pixels, label in zip(axes.flat, states, labels, strict=False):
        image = axis.imshow(np.reshape(pixels, shape), norm=norm)
        axis.set_title(label)
    figure.colorbar(image, ax=axes, label=quantity, aspect=15)
    return figure


# Training


def pulses(
    time: np.ndarray, voltages: np.ndarray, kind: str, labels: Sequence[str] | None = None
) -> Figure:
    """Draw the waveforms of the sources as colours over time.

    Parameters
    ----------
    time : array, s
    voltages : array, traces x time points, V
    kind : str
        "input" or "control".
    labels : sequence of str, optional
        Names of the traces; numbers by default.
    """
    factor, unit = prefixed(time[-1], "s")
    count, grid = len(voltages), np.linspace(0, time[-1], HEAT_MAP_COLUMNS)
    figure, axis = plt.subplots(figsize=(WIDTH, min(1.5 + 0.25 * count, HIGHEST)))
    # on a regular grid, because the simulator's steps are unequal
    image = axis.imshow(
        [np.interp(grid, time, trace) for trace in voltages],
        aspect="auto",
        interpolation="nearest",
        extent=(0, grid[-1] * factor, count - 0.5, -0.5),
    )
    if labels:
        axis.set_yticks(range(count), labels)
    title = {"input": "Input voltages", "control": "Control voltages phi"}[kind]
    axis.set(xlabel=f"time ({unit})", ylabel=kind, title=title)
    figure.colorbar(image, label="voltage (V)")
    return figure


def memristor_states(
    time: np.ndarray,
    states: np.ndarray,
    labels: Sequence[str],
    written: np.ndarray | None = None,
    quantity: str = "state X (V)",
) -> Figure:
    """Draw states over time: a panel for each class, with bands from the lowest to the highest of
    its written cells and of its other cells.

    Parameters
    ----------
    time : array, s
    states : array, cells x time points
        Class by class.
    labels : sequence of str
        Names of the classes.
    written : array of bool, cells, optional
        Cells of pixels that are on; by default cells that end above half of the highest state.
    quantity : str
        Label of the states.
    """
    factor, unit = prefixed(time[-1], "s")
    columns = min(len(labels), 2 if len(labels) <= 4 else 5)
    rows = -(-len(labels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * 2.1), squeeze=False, sharex=True, sharey=True
    )
    written = states[:, -1] > np.max(states) / 2 if written is None else written
    for axis, label, cells, on in zip(
        axes.flat,
        labels,
        np.split(states, len(labels)),
        np.split(written, len(labels)),
        strict=False,
    ):
        for part, colour, name in ((on, BLUE, "written cells"), (~on, ORANGE, "other cells")):
            if part.any():
                ends = cells[part].min(axis=0), cells[part].max(axis=0)
                axis.fill_between(time * factor, *ends, color=colour, linewidth=1.2, label=name)
        axis.set_title(f"class {label}")
    for axis in lowest(axes, len(labels)):
        axis.set_xlabel(f"time ({unit})")
    for axis in axes[:, 0]:
        axis.set_ylabel(quantity)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def learning_figure(accuracy: np.ndarray, writes: np.ndarray) -> Figure:
    """Draw the running accuracy (a share) and the number of presentations so far that wrote, arrays
    with a value for each presentation, at 2,000 of them at most.
    """
    shown = np.unique(np.linspace(0, len(accuracy) - 1, 2000).astype(int))
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 4.5), sharex=True)
    top.plot(shown + 1, 100 * np.asarray(accuracy)[shown])
    top.set(ylabel="running accuracy (%)", title="Learning from errors")
    bottom.plot(shown + 1, np.asarray(writes)[shown], color=VERMILLION)
    bottom.set(xlabel="presentations (images)", ylabel="presentations that wrote")
    bottom.set_ylim(bottom=0)
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
    return figure


# Inference


def membranes(result: Inference, setup: Setup, labels: Sequence[str]) -> Figure:
    """Draw the membranes of an inference: a panel for each image, from its start to a little after
    the first spikes.
    """
    count, threshold = len(result.spikes), setup.neuron.threshold
    latest = float(np.nanmax(np.fmin.reduce(result.spikes, axis=1), initial=0.0))
    # whole half milliseconds, for round numbers on the axis
    window = max(1e-3, 0.5e-3 * np.ceil(1.1 * latest / 0.5e-3))
    columns = min(count, 2 if count <= 4 else 3 if count <= 6 else 5)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, 0.7 + 2.1 * rows),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for k, axis in enumerate(axes.flat[:count]):
        start = setup.schedule.start(k)
        part = slice(
            max(np.searchsorted(result.time, start) - 1, 0),
            np.searchsorted(result.time, start + window) + 1,
        )
        microseconds = (result.time[part] - start) * 1e6
        for j, (membrane, label) in enumerate(zip(result.membranes, labels, strict=True)):
            axis.plot(microseconds, membrane[part], label=label, **line_style(j, len(labels)))
        axis.axhline(threshold, label=f"threshold {threshold:g} V", **THRESHOLD)
        axis.set(title=f"{labels[k]} presented", xlim=(0, window * 1e6))
    # of all panels; to search for more takes time
    axes[0, 0].set_xticks(np.linspace(0, window * 1e6, 3))
    for axis in axes[:, 0]:
        axis.set_ylabel("membrane (V)")
    for axis in lowest(axes, count):
        axis.set_xlabel("time (µs)")
    _neuron_legend(figure, axes[0, 0])
    return figure


def _neuron_legend(figure: Figure, axis: Axes) -> None:
    """Add a legend of the neurons and their threshold above all panels, for the lines of `axis`."""
    handles, names = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside upper center",
        title="neuron",
        ncols=len(names) if len(names) <= 8 else 6,
    )


def race(
    races: Mapping[str, Race],
    crossbar: Crossbar,
    labels: Sequence[str],
    image: np.ndarray,
) -> Figure:
    """Draw the membranes while one image is read: for each read the whole race, and below it the
    finish at the threshold.

    Parameters
    ----------
    races : mapping of str to Race
        Reads of the image, by the titles of their panels.
    crossbar : Crossbar
        Layer that read the image.
    labels : sequence of str
        Names of the classes.
    image : array, rows x columns
        Levels 0 to 1.
    """
    rise, neurons, count = 1e6 * crossbar.schedule.rise, crossbar.neurons, len(labels)
    thresholds, tau = (
        np.broadcast_to(value, count) for value in (neurons.threshold, 1e6 * neurons.time_constant)
    )
    spikes = {title: 1e6 * read.spikes for title, read in races.items()}
    fired = np.concatenate([times[np.isfinite(times)] for times in spikes.values()])
    first, last = (fired.min(), fired.max()) if len(fired) else (0.0, 1e6 * crossbar.schedule.pulse)
    room = 0.15 * (last - first) + 2.0
    time = np.linspace(0.0, last + 2 * room, 1000)
    figure, axes = plt.subplots(
        2, len(races), figsize=(WIDTH, 5.0), squeeze=False, sharex="row", sharey="row"
    )
    for (title, read), (upper, lower) in zip(races.items(), axes.T, strict=True):
        for j in range(count):
            style = line_style(j, count)
            volts = np.where(
                time < rise,
                read.risen[j] * (time / rise) ** 2,
                neuron.membrane(
                    read.settled[j], read.risen[j], np.maximum(time - rise, 0.0), tau[j]
                ),
            )
            for axis in (upper, lower):
                axis.plot(time, volts, label=labels[j], **style)
                axis.axhline(thresholds[j], **THRESHOLD)
            lower.plot(
                spikes[title][j],
                thresholds[j],
                "o",
                color=style["color"],
                markersize=2.4 * style["linewidth"] + 1,
            )
        upper.set_title(title)
        strict, _ = decide(read.spikes[None], RESOLUTION)
        won = f"decision: {decision_name(strict[0], labels)}, lead {1e6 * lead(read.spikes):.1f} µs"
        lower.set(title=won, xlabel="time (µs)")
    high = np.max(thresholds)
    axes[0, 0].set(ylabel="membrane (V)", xlim=(0, time[-1]), ylim=(0, 1.1 * high))
    axes[1, 0].set(
        ylabel="membrane (V)",
        xlim=(first - room, last + room),
        ylim=(0.95 * np.min(thresholds), 1.03 * high),
    )
    picture = axes[0, 0].inset_axes((0.03, 0.5, 0.24, 0.36))
    picture.imshow(image, cmap="Greys", vmin=0, vmax=1.3)
    picture.set_axis_off()
    axes[0, 0].plot([], [], label=f"threshold {np.mean(thresholds):.3g} V", **THRESHOLD)
    _neuron_legend(figure, axes[0, 0])
    return figure


# Tests


def confusion(matrix: ArrayLike, labels: Sequence[str], unit: str = "images") -> Figure:
    """Draw a confusion matrix: rows are true classes, columns are decisions, the last of them tied
    and silent.

    `matrix`: numbers of images or of another `unit`, classes x (classes + 2). `labels`: names of
    the classes.
    """
    matrix = np.asarray(matrix)
    columns = [*labels, *UNDECIDED.values()]
    # names that would run into each other are tilted
    tilt = 45 * (0.08 * max(map(len, columns)) * len(columns) > 0.75 * WIDTH)
    figure, axis = plt.subplots(figsize=(WIDTH, 1.8 + 0.42 * max(3, len(labels))))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # Drawn as rectangles: an image of the figure's size would take 30 MB for a moment.
    image = axis.pcolormesh(
        np.arange(len(columns) + 1) - 0.5,
        np.arange(len(labels) + 1) - 0.5,
        100 * shares,
        cmap="cividis",
        vmin=0,
        vmax=100,
    )
    axis.invert_yaxis()
    for (j, k), count in np.ndenumerate(matrix):
        ink = BLACK if shares[j, k] > 0.5 else "white"
        axis.text(k, j, str(count), ha="center", va="center", fontsize=9, color=ink)
    axis.axvline(len(labels) - 0.5, color="white", linewidth=3)
    axis.set_xticks(range(len(columns)), columns, rotation=tilt)
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(length=0)
    axis.set(xlabel="decision", ylabel="true class", title=f"Decisions (number of {unit})")
    figure.colorbar(image, label=f"share of the class's {unit} (%)")
    return figure


def steps(mean: "MeasuredDevice", devices: "Sequence[MeasuredDevice]" = ()) -> Figure:
    """Draw the steps of the `mean` device over its conductance, with a band of one standard
    deviation from device to device, and those of some `devices` as thin lines.
    """
    figure, axis = plt.subplots(figsize=(0.6 * WIDTH, 3.4))
    (factor, unit), x = prefixed(mean.highest_conductance, "S"), np.linspace(0, 1, 101)
    for up, word, colour in ((True, "up", BLUE), (False, "down", VERMILLION)):
        for device in devices:
            siemens = factor * device.conductance(x)
            axis.plot(siemens, 100 * device.step(x, up), color=colour, linewidth=0.5)
        siemens, curve = factor * mean.conductance(x), 100 * mean.step(x, up)
        low, high = (curve * (1 + sign * mean.spread) for sign in (-1, 1))
        axis.fill_between(siemens, low, high, color=colour, alpha=0.25, linewidth=0)
        axis.plot(siemens, curve, color=colour, linewidth=2.0, label=word)
    axis.set(
        xlabel=f"conductance ({unit})",
        ylabel="step of a pulse (% of the range)",
        ylim=(0, None),
        title=mean.name,
    )
    axis.legend()
    return figure


def one_sided_steps(devices: "Sequence[MeasuredDevice]") -> Figure:
    """Draw the distributions of both kinds of pulses over the state before, for each of some
    devices with one gradual direction: medians, quarters and tenths.
    """
    figure, axes = plt.subplots(
        2, len(devices), figsize=(WIDTH, 4.4), sharex=True, sharey="row", squeeze=False
    )
    for column, device in zip(axes.T, devices, strict=True):
        assert device.one_sided
        tables = (device.one_sided.gradual, device.one_sided.abrupt)
        for axis, table, colour in zip(column, tables, (BLUE, VERMILLION), strict=True):
            values = np.array(table)
            x, shares = np.linspace(0, 1, values.shape[1]), np.linspace(0, 1, len(values))
            at = {
                share: np.array([np.interp(share, shares, value) for value in values.T])
                for share in (0.1, 0.25, 0.5, 0.75, 0.9)
            }
            for low, high in ((0.1, 0.9), (0.25, 0.75)):
                axis.fill_between(x, at[low], at[high], color=colour, alpha=0.3, linewidth=0)
            axis.plot(x, at[0.5], color=colour)
        column[0].axhline(0, color=GREY, linewidth=1.0)
        column[0].set_title(device.name)
        column[1].set_xlabel("x before the pulse")
    axes[0, 0].set_ylabel("change of x, gradual pulse")
    axes[1, 0].set_ylabel("x after an abrupt pulse")
    return figure
