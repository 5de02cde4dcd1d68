"""Figures of learning without a teacher: winners, weights and thresholds over time, receptive fields, accuracy."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure

from datasets import Dataset
from memristive.cli.progress import progress
from memristive.io.files import report
from memristive.learning.stdp.pattern_learning import Learned
from plotting import COLOURS, WIDTH, line_style

FRAMES, LAST_FRAMES = 54, 9  # of the animation; the last one is repeated


def winners_and_thresholds(learned: Learned, labels: Sequence[str], thresholds: np.ndarray) -> Figure:
    """Draw the winner of each presentation, coloured by pattern, and each neuron's threshold (V).

    `thresholds`: neurons, V, without homeostasis.
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 5.0), sharex=True)
    neurons = learned.states.shape[1]
    for pattern, label in enumerate(labels):
        shown = np.flatnonzero(learned.order == pattern)
        upper.plot(shown, learned.winners[shown], "|", color=COLOURS[pattern], markersize=11, markeredgewidth=1.8, label=label)
    upper.set(ylabel="neuron that fires first", yticks=range(neurons), ylim=(neurons - 0.4, -0.6))
    upper.legend(title="pattern", loc="center left", bbox_to_anchor=(1.0, 0.5))
    for j in range(neurons):
        lower.plot(thresholds[j] + learned.homeostasis[:, j], **line_style(j, neurons), label=str(j))
    lower.set(xlabel="presentation", ylabel="threshold (V)")
    lower.legend(title="neuron", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def save_animation(learned: Learned, dataset: Dataset, path: Path) -> None:
    """Write an animated GIF and print its path: the pattern shown, and the states of all neurons after it.

    The inputs of dual rails are two images side by side, pixels and complements.
    """
    shown, rows = dataset.patterns.reshape(-1, *dataset.shape), dataset.shape[0]
    rails = learned.states.reshape(*learned.states.shape[:2], -1, *dataset.shape)  # ... x rails x rows x columns
    images = np.moveaxis(rails, 2, 3).reshape(*rails.shape[:2], rows, -1)
    # Most happens at the start: frames are closer to each other there.
    when = np.unique(np.round((len(learned.order) - 1) * np.linspace(0, 1, FRAMES) ** 2).astype(int))
    figure, axes = plt.subplots(1, 1 + images.shape[1], figsize=(1.0 + images.shape[1], 1.75), layout="constrained")
    drawn = [axes[0].imshow(shown[0], cmap="cividis", vmin=0, vmax=1)]
    drawn += [axis.imshow(images[0, j], vmin=0, vmax=images.max()) for j, axis in enumerate(axes[1:])]
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    axes[0].set_title("shown")

    def draw(n: int) -> None:
        drawn[0].set_data(shown[learned.order[n]])
        for j, axis in enumerate(axes[1:]):
            drawn[1 + j].set_data(images[n + 1, j])
            fired = learned.winners[n] == j
            axis.set_title(f"neuron {j}", color=COLOURS[1] if fired else "black", fontweight="bold" if fired else "normal")
        figure.suptitle(f"presentation {n + 1} of {len(learned.order)}", fontsize=10)

    frames = progress([*when, *[when[-1]] * LAST_FRAMES], len(when) + LAST_FRAMES, "animation", "frame")
    animation = FuncAnimation(figure, draw, frames=frames, init_func=lambda: None, cache_frame_data=False)
    animation.save(path, PillowWriter(fps=4), dpi=100)
    plt.close(figure)
    report(f"wrote {path}")


def receptive_fields(states: np.ndarray, digits: np.ndarray, shape: tuple[int, int], most: int = 100) -> Figure:
    """Draw the states (V) of up to `most` neurons as images, sorted by their digits."""
    chosen = np.argsort(digits, kind="stable")
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)]
    columns = 10 if len(chosen) > 20 else 5
    rows = -(-len(chosen) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 0.3 + 0.83 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, j in zip(axes.flat, chosen, strict=False):
        image = axis.imshow(states[j].reshape(shape), vmin=0, vmax=states.max())
        axis.set_title(str(digits[j]), fontsize=8, pad=2)
    figure.colorbar(image, ax=axes, label="state X (V)", aspect=40)
    return figure


def thresholds_over_time(thresholds: np.ndarray, winners: np.ndarray, step: int) -> Figure:
    """Draw every neuron's threshold (1 + steps x neurons, V) after each `step` images, and the presentations that each won."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 4.8))
    upper.plot(np.arange(len(thresholds)) * step / 1e3, thresholds, color=COLOURS[0], linewidth=0.5, alpha=0.5)
    upper.set(xlabel="images presented (thousands)", ylabel="threshold (V)")
    third = len(winners) // 3
    for name, part, colour in (("first", winners[:third], COLOURS[1]), ("last", winners[-third:], COLOURS[0])):
        wins = np.bincount(part[part >= 0], minlength=thresholds.shape[1])
        lower.plot(np.sort(wins)[::-1], color=colour, label=f"{name} third of the run")
    lower.xaxis.get_major_locator().set_params(integer=True)
    lower.set(xlabel="neuron, by how often it fired first", ylabel="presentations won", ylim=(0, None))
    lower.legend()
    return figure


def accuracy_against_neurons(tests: pd.DataFrame, published: Sequence[tuple[str, int, float]]) -> Figure:
    """Draw test accuracies over the number of neurons: mean and range of the seeds in closed form, single runs in ngspice.

    Parameters
    ----------
    tests : DataFrame
        Columns encoding, neurons, engine, strict_accuracy.
    published : sequence
        Source, neurons and accuracy.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    for (encoding, runs), colour in zip(tests.groupby("encoding", sort=False), COLOURS, strict=False):
        simulated = runs[runs.engine == "ngspice"]
        rates = 100 * runs[runs.engine == "closed-form"].groupby("neurons").strict_accuracy.agg(["mean", "min", "max"])
        seeds = int(runs[runs.engine == "closed-form"].groupby("neurons").size().max())
        axis.errorbar(rates.index, rates["mean"], [rates["mean"] - rates["min"], rates["max"] - rates["mean"]], fmt="o-",
                      color=colour, markersize=5, linewidth=1, capsize=5,
                      label=f"{encoding} 10x10, read by the closed form" + f" (mean and range of {seeds} seeds)" * (seeds > 1))
        if len(simulated):
            axis.plot(simulated.neurons, 100 * simulated.strict_accuracy, "s", color=colour, markersize=11,
                      markerfacecolor="none", label=f"{encoding} 10x10, read by ngspice")
    for colour, source in zip(COLOURS[2:], dict.fromkeys(name for name, _, _ in published), strict=False):
        points = [(neurons, 100 * rate) for name, neurons, rate in published if name == source]
        axis.plot(*np.transpose(points), "D", color=colour, markersize=9, markerfacecolor="none", label=source)
    counts = sorted({*tests.neurons, *(neurons for _, neurons, _ in published)})
    axis.set(xscale="log", xlabel="neurons", ylabel="test accuracy (%)", xlim=(min(counts) / 1.3, max(counts) * 1.3))
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.legend(loc="lower right", fontsize=8)
    return figure
