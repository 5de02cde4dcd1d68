"""Figures of a multilayer network: hidden weights as images, the spikes of one image, the back-read of one error."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_rule import LayeredRule
from memristive.single_layer.spike_decoding import RESOLUTION, TIED, strict_decision
from plotting import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION, WIDTH
from studies.error_example import ErrorExample

SHOWN = 50  # hidden neurons whose weights are shown


def hidden_images(network: LayeredNetwork, shape: tuple[int, int], labels: Sequence[str]) -> Figure:
    """Draw the states of the first hidden layer as images, each under the class that its spike supports most.

    The colours cover 98 % of all states: pixels that are seldom on stray far.
    """
    first, last, reference = network.states[0], network.states[-1], network.design.reference_state
    direct = len(network.states) == 2
    supported = last[:, :-1].argmax(axis=0) if direct else np.zeros(len(first), int)
    chosen = np.sort(np.linspace(0, len(first) - 1, min(SHOWN, len(first))).astype(int))
    chosen = chosen[np.argsort(supported[chosen], kind="stable")]
    far = float(np.quantile(np.abs(first - reference), 0.98))
    lines = -(-len(chosen) // 10)
    figure, axes = plt.subplots(lines, 10, figsize=(WIDTH, max(0.55 + 0.83 * lines, 2.6)), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, k in zip(axes.flat, chosen, strict=False):
        image = axis.imshow(first[k, :-1].reshape(shape), cmap="cividis", vmin=reference - far, vmax=reference + far)
        if direct:
            axis.set_title(labels[supported[k]], fontsize=9, pad=2)
    figure.colorbar(image, ax=axes, label=f"state X (V); {reference:g} V has no weight", aspect=40, extend="both")
    figure.suptitle("Hidden neurons' weights" + ", under the class that each one's spike helps most" * direct, fontsize=10)
    return figure


def raster(network: LayeredNetwork, image: np.ndarray, shape: tuple[int, int], label: int, labels: Sequence[str]) -> Figure:
    """Draw the first spikes of all layers while the network reads one `image` (inputs, levels 0 to 1)."""
    layers = [times[0] * 1e6 for times in network.forward(image[None])]
    heights = [2.6] * (len(layers) - 1) + [0.6 + 0.16 * len(layers[-1])]
    figure = plt.figure(figsize=(WIDTH, 0.9 + sum(heights)))
    grid = figure.add_gridspec(len(layers), 2, width_ratios=(1, 4.4), height_ratios=heights)
    picture = figure.add_subplot(grid[0, 0])
    picture.imshow(image.reshape(shape), cmap="cividis", vmin=0, vmax=1)
    picture.set(title=f"a {labels[label]}", xticks=[], yticks=[])
    axis: Axes | None = None
    decided = np.nan if np.isnan(layers[-1]).all() else float(np.nanmin(layers[-1]))
    for number, times in enumerate(layers):
        axis = figure.add_subplot(grid[number, 1], sharex=axis)
        if number < len(layers) - 1:
            _hidden_spikes(axis, times, network.states[number + 1] if number == len(layers) - 2 else None, label)
            axis.tick_params(labelbottom=False)
        else:
            _output_spikes(axis, times, label, labels)
            axis.set(xlabel="first spike (µs after the image)", xlim=(0, network.design.window * 1e6))
        axis.axvline(decided, color=VERMILLION, linestyle=":", linewidth=1)
    if len(layers) > 1:  # outside: within a panel its marks would look like spikes
        which = "neuron of the last hidden layer" if len(layers) > 2 else "hidden neuron"
        looks = ((BLUE, f"{which} that helps the right class more than the others"), (ORANGE, "less"))
        marks = [Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=text) for colour, text in looks]
        figure.legend(handles=marks, loc="outside upper center", ncols=2)
    return figure


def _hidden_spikes(axis: Axes, times: np.ndarray, above: np.ndarray | None, label: int) -> None:
    """Draw hidden neurons in the order in which they fire; `above`: states of the last layer, which colour them."""
    order = np.argsort(times)[:np.sum(~np.isnan(times))]
    colours: np.ndarray | str = GREY
    if above is not None:
        others = np.delete(above[:, :-1], label, axis=0).mean(axis=0)
        colours = np.where(above[label, :-1] > others, BLUE, ORANGE)[order]
    axis.scatter(times[order], range(len(order)), color=colours, s=9)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.set(ylabel="hidden neurons, as they fire", title=f"{len(order)} of {len(times)} hidden neurons fire")
    axis.invert_yaxis()
    axis.grid(alpha=0.3)


def _output_spikes(axis: Axes, times: np.ndarray, label: int, labels: Sequence[str]) -> None:
    fired = ~np.isnan(times)
    colours = np.where(np.arange(len(times)) == label, BLUE, GREY)
    axis.scatter(times[fired], np.flatnonzero(fired), color=colours[fired], s=30, zorder=3)
    axis.hlines(np.flatnonzero(fired), times[fired], 1e4, colors=colours[fired])
    tied = strict_decision(times * 1e-6) == TIED
    decision = f"undecided: two outputs fire within {RESOLUTION * 1e9:g} ns" if tied else "the first output decides"
    axis.set_title(f"{decision}, after {np.nanmin(times):.1f} µs; outputs stay high" if fired.any() else "no output fires")
    axis.set_yticks(range(len(times)), labels)
    axis.set(ylabel="output neuron", ylim=(len(times) - 0.5, -0.5))


def back_read_figure(simulated: np.ndarray, computed: np.ndarray, settled: np.ndarray, rule: LayeredRule, example: ErrorExample,
                     labels: Sequence[str]) -> Figure:
    """Draw the back-read (V) of each hidden neuron by both engines, and their difference.

    `settled`: settled membranes in thresholds; they select the neurons that are written.
    """
    order = np.argsort(computed)[::-1]
    place, plastic = np.arange(len(order)), (settled >= rule.reach)[order]
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 5.0), sharex=True, height_ratios=(2.2, 1))
    upper.bar(place[plastic], computed[order][plastic], color=SKY, width=0.8,
              label=f"closed form, written (membrane at {rule.reach:g} thresholds or above)")
    upper.bar(place[~plastic], computed[order][~plastic], color="#cccccc", width=0.8, label="closed form, not written")
    upper.scatter(place, simulated[order], color=BLACK, s=5, zorder=3, label="ngspice: current of the row")
    upper.axhline(0, color=GREY, linewidth=0.8)
    reason = "was too early" if example.written else "fires second (the network makes no error)"
    upper.set(ylabel="read back (V)", title=f"Back-read for a {labels[example.label]}, where the neuron of "
              f"{labels[example.wrong]} {reason}")
    upper.legend()
    lower.scatter(place, 1e3 * (simulated - computed)[order], color=VERMILLION, s=8)
    lower.axhline(0, color=GREY, linewidth=0.8)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    lower.set(xlabel="hidden neuron, sorted by its back-read", ylabel="ngspice less closed\nform (mV)")
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    return figure
