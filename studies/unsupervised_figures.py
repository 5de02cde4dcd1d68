"""The figures of studies/unsupervised.py: weights condensing into patterns, who won when, thresholds, and the first of these moving."""

import io
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from datasets import Dataset
from memristive.io.files import atomic_write
from memristive.stdp.pattern_learning import Learned
from plotting import COLOURS, WIDTH, line_style

SNAPSHOTS = 9  # images of each neuron in the strip
FRAMES = 54  # of the animation
FRAME_WIDTH = 5.0  # in
FRAME_TIME = 250  # ms


def snapshots(presentations: int, count: int = SNAPSHOTS) -> np.ndarray:
    """At which presentations to look: closer at the start, where most happens."""
    return np.unique(np.round(presentations * np.linspace(0, 1, count) ** 2).astype(int))


def pixels_of(states: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """States (... x inputs) as images (... x rows x columns); the complements of a dual rail go to the right of the pixels."""
    size = int(np.prod(shape))
    rails = states.reshape(*states.shape[:-1], -1, *shape)
    return np.concatenate([rails[..., rail, :, :] for rail in range(states.shape[-1] // size)], axis=-1)


def weights_over_time(learned: Learned, dataset: Dataset) -> Figure:
    """A strip of images for each neuron: its states X (V) before presentations ever later in the run."""
    when = snapshots(len(learned.order))
    images = pixels_of(learned.states[when], dataset.shape)
    neurons, (rows, columns) = images.shape[1], images.shape[2:]
    cell = (WIDTH - 1.6) / len(when)
    figure, axes = plt.subplots(neurons, len(when), figsize=(WIDTH, 0.5 + neurons * min(cell * rows / columns, 1.0)),
                                squeeze=False)
    for (j, n), axis in np.ndenumerate(axes):
        image = axis.imshow(images[n, j], vmin=0, vmax=images.max())
        axis.set(xticks=[], yticks=[])
        if j == 0:
            axis.set_title(f"{when[n]}")
        if n == 0:
            owned = [label for label, owner in zip(dataset.labels, learned.owners, strict=True) if owner == j]
            axis.set_ylabel(f"neuron {j}\npattern {', '.join(owned) or '–'}", rotation=0, ha="right", va="center")
    figure.suptitle("Presentations so far", fontsize=10)
    figure.colorbar(image, ax=axes, label="state X (V)", aspect=30)
    return figure


def winners_and_thresholds(learned: Learned, dataset: Dataset, thresholds: np.ndarray) -> Figure:
    """Who fired first at each presentation, coloured by the pattern shown, and each neuron's threshold (V) over them.

    `thresholds`: each neuron's own, in V, to which homeostasis adds.
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 5.0), sharex=True)
    neurons = learned.states.shape[1]
    for pattern, label in enumerate(dataset.labels):
        shown = np.flatnonzero(learned.order == pattern)
        upper.plot(shown, learned.winners[shown], "|", color=COLOURS[pattern], markersize=11, markeredgewidth=1.8, label=label)
    upper.set(ylabel="neuron that fires first", yticks=range(neurons), ylim=(neurons - 0.4, -0.6))
    upper.legend(title="pattern", loc="center left", bbox_to_anchor=(1.0, 0.5))
    for j in range(neurons):
        lower.plot(thresholds[j] + learned.homeostasis[:, j], **line_style(j, neurons), label=str(j))
    lower.set(xlabel="presentation", ylabel="threshold (V)")
    lower.legend(title="neuron", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def save_animation(learned: Learned, dataset: Dataset, folder: Path, name: str) -> Path:
    """Write folder/name.gif: the neurons' states as they condense into the patterns, beside the pattern shown."""
    when = snapshots(len(learned.order) - 1, FRAMES)
    images = pixels_of(learned.states, dataset.shape)
    shown = dataset.patterns.reshape(-1, *dataset.shape)
    figure, axes = plt.subplots(1, 1 + images.shape[1], figsize=(FRAME_WIDTH, 1.75), layout="constrained")
    drawn = [axes[0].imshow(shown[0], cmap="cividis", vmin=0, vmax=1)]
    drawn += [axis.imshow(images[0, j], vmin=0, vmax=images.max()) for j, axis in enumerate(axes[1:])]
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    axes[0].set_title("shown")

    frames = []
    for n in when:
        _frame(figure, axes, drawn, learned, shown, images, n)
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=100)
        frames.append(Image.open(image).convert("P", palette=Image.Palette.ADAPTIVE, colors=64))
    buffer = io.BytesIO()
    duration = [FRAME_TIME] * (len(frames) - 1) + [10 * FRAME_TIME]
    frames[0].save(buffer, format="gif", save_all=True, append_images=frames[1:], duration=duration, loop=0)
    path = Path(folder) / f"{name}.gif"
    plt.close(figure)
    atomic_write(path, buffer.getvalue())
    return path


def _frame(figure: Figure, axes: np.ndarray, drawn: list[AxesImage], learned: Learned, shown: np.ndarray, images: np.ndarray,
           n: int) -> None:
    """Show presentation `n`: the pattern, every neuron after it, and which neuron fired."""
    drawn[0].set_data(shown[learned.order[n]])
    for j, axis in enumerate(axes[1:]):
        drawn[1 + j].set_data(images[n + 1, j])
        fired = learned.winners[n] == j
        axis.set_title(f"neuron {j}", color=COLOURS[1] if fired else "black", fontweight="bold" if fired else "normal")
    figure.suptitle(f"presentation {n + 1} of {len(learned.order)}", fontsize=10)


def receptive_fields(states: np.ndarray, digits: np.ndarray, shape: tuple[int, int], most: int = 100) -> Figure:
    """The states (V) of up to `most` neurons as images, sorted by the digit that each stands for."""
    chosen = np.argsort(digits, kind="stable")
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)]
    columns = 10 if len(chosen) > 20 else 5
    figure, axes = plt.subplots(-(-len(chosen) // columns), columns, figsize=(WIDTH, 0.3 + 0.83 * (-(-len(chosen) // columns))),
                                squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, j in zip(axes.flat, chosen, strict=False):
        image = axis.imshow(states[j].reshape(shape), vmin=0, vmax=states.max())
        axis.set_title(str(digits[j]), fontsize=8, pad=2)
    figure.colorbar(image, ax=axes, label="state X (V)", aspect=40)
    return figure


def fields_over_time(states: np.ndarray, stretch: int, shape: tuple[int, int]) -> Figure:
    """A strip of images for each of a few neurons: states (1 + stretches x neurons x inputs, V) after ever more images."""
    when = snapshots(len(states) - 1, 10)
    figure, axes = plt.subplots(states.shape[1], len(when), figsize=(WIDTH, 0.6 + 0.68 * states.shape[1]), squeeze=False)
    for (j, n), axis in np.ndenumerate(axes):
        image = axis.imshow(states[when[n], j].reshape(shape), vmin=0, vmax=states.max())
        axis.set(xticks=[], yticks=[])
        if j == 0:
            axis.set_title(f"{when[n] * stretch:,}", fontsize=8)
        if n == 0:
            axis.set_ylabel(f"neuron {j}", rotation=0, ha="right", va="center", fontsize=8)
    figure.suptitle("Images presented so far", fontsize=10)
    figure.colorbar(image, ax=axes, label="state X (V)", aspect=30)
    return figure


def thresholds_over_time(thresholds: np.ndarray, winners: np.ndarray, stretch: int) -> Figure:
    """Every neuron's threshold (1 + stretches x neurons, V) over the run, and how evenly they won the presentations."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 4.8))
    upper.plot(np.arange(len(thresholds)) * stretch / 1e3, thresholds, color=COLOURS[0], linewidth=0.5, alpha=0.5)
    upper.set(xlabel="images presented (thousands)", ylabel="threshold (V)")
    for part, (name, colour) in enumerate((("first", COLOURS[1]), ("last", COLOURS[0]))):
        share = winners[:len(winners) // 3] if part == 0 else winners[-(len(winners) // 3):]
        wins = np.bincount(share[share >= 0], minlength=thresholds.shape[1])
        lower.plot(np.sort(wins)[::-1], color=colour, label=f"{name} third of the run")
    lower.xaxis.get_major_locator().set_params(integer=True)
    lower.set(xlabel="neuron, by how often it fired first", ylabel="presentations won", ylim=(0, None))
    lower.legend()
    return figure


class Accuracy(NamedTuple):
    """Share of the 10,000 test images that a run got right."""

    encoding: str
    neurons: int
    closed_form: float
    ngspice: float | None  # None where ngspice did not read all of them


def accuracy_against_neurons(found: list[Accuracy], published: tuple[tuple[str, int, float], ...]) -> Figure:
    """Test accuracies over the number of neurons, mean and range of the seeds; `published` ones are (source, neurons, share)."""
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    for encoding, colour in zip(dict.fromkeys(run.encoding for run in found), COLOURS, strict=False):
        runs = [run for run in found if run.encoding == encoding]
        sizes = sorted({run.neurons for run in runs})
        rates = [[100 * run.closed_form for run in runs if run.neurons == size] for size in sizes]
        means = np.array([np.mean(of_size) for of_size in rates])
        ranges = [means - [min(of_size) for of_size in rates], [max(of_size) for of_size in rates] - means]
        seeds = max(map(len, rates))
        axis.errorbar(sizes, means, ranges, fmt="o-", color=colour, markersize=5, linewidth=1, capsize=5,
                      label=f"{encoding} 10x10, read by the closed form" + f" (mean and range of {seeds} seeds)" * (seeds > 1))
        in_ngspice = [(run.neurons, 100 * run.ngspice) for run in runs if run.ngspice is not None]
        if in_ngspice:
            axis.plot(*np.transpose(in_ngspice), "s", color=colour, markersize=11, markerfacecolor="none",
                      label=f"{encoding} 10x10, read by ngspice")
    for colour, source in zip(COLOURS[2:], dict.fromkeys(name for name, _, _ in published), strict=False):
        points = [(neurons, 100 * rate) for name, neurons, rate in published if name == source]
        axis.plot(*np.transpose(points), "D", color=colour, markersize=9, markerfacecolor="none", label=source)
    counts = {run.neurons for run in found} | {neurons for _, neurons, _ in published}
    axis.set(xscale="log", xlabel="neurons", ylabel="test accuracy (%)", xlim=(min(counts) / 1.3, max(counts) * 1.3))
    axis.set_xticks(sorted(counts), [str(count) for count in sorted(counts)])
    axis.minorticks_off()
    axis.legend(loc="lower right", fontsize=8)
    return figure
