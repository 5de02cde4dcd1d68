"""A convolution reads a whole image in one transient of ngspice: all patches in turn, a latch for
each kernel and region, and the layer above (docs/convolution.md).

Three kernels of 3x3 pixels learn in closed form to tell vertical from horizontal bars in 6x6
images, and read the image of a bar in ngspice. Its pooled spikes and its output spikes are compared
with the closed form. Writes results/convolution/convolution_circuit.json and
figures/convolution_circuit.png in ten seconds. --netlist writes the circuit for `ngspice -b`.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from memristive.cli.script import Record, apply_settings, make_parser, run
from memristive.engines.latches import held_names, patches_circuit, replay_start, slot
from memristive.engines.read_netlist import SOLVER, netlist, with_steps
from memristive.learning.build import initial_network
from memristive.learning.rule import LayeredRule
from memristive.learning.training import learn
from memristive.network.design import Convolution, LayerDesign
from memristive.network.networks import Network
from memristive.spice.session import Waveforms, run_once
from plotting import BLACK, COLOURS, GREY, WIDTH
from snn_circuit import names

SIDE, KERNELS = 6, 3
DESIGN = LayerDesign(hidden_bias=0.5, output_bias=1.3, window=400e-6)
RULE = LayeredRule(
    presentations=400,
    hidden_dose=0.1,
    output_dose=0.1,
    margin=20e-6,
    start_drive=0.9,
    start_drive_spread=0.6,
    start_weight=0.0,
    start_weight_spread=0.3,
)
IMAGE = 13  # place of the bar that is read


def main(arguments: list[str] | None = None) -> None:
    """Train in closed form, read in ngspice, compare, plot."""
    parser = make_parser(__doc__, "convolution", netlist=True)
    options = parser.parse_args(arguments)
    design, rule = apply_settings(options, design=DESIGN, rule=RULE)
    images, labels = bars()
    start = initial_network(
        (KERNELS,), 2, images, rule, design, convolution=Convolution(SIDE, SIDE, 3, regions=2)
    )
    network, image = learn(start, rule, images, labels).network, images[IMAGE]
    solver = with_steps(SOLVER, network)
    record = Record(
        options,
        "convolution_circuit",
        {"design": design.as_dict(), "learning": rule.as_dict(), "solver": solver.as_dict()},
    )

    # 1. One transient of ngspice.
    circuit, stop = patches_circuit(network, image), replay_start(network) + design.window
    pooled, outputs = network.sizes[1:]
    held = held_names(network)
    rows, ends = names("row_1", pooled), names("membrane_1", outputs)
    vectors = [*names("membrane_0", KERNELS), "ramp", *held, *rows, *ends]
    record.write_netlist(lambda: netlist(network, image, ["vertical", "horizontal"], "a bar"))
    waves = run_once(circuit, solver, vectors, stop)

    # 2. Compare with the closed form.
    neuron, replay = network.parameters.neuron, replay_start(network)
    found = [
        np.array([rises(waves, node, level, replay) for node in nodes])
        for nodes, level in ((rows, design.row_voltage / 2), (ends, neuron.threshold))
    ]
    expected = [times[0] for times in network.forward(image[None])]
    results = {
        name: {
            "ngspice_s": simulated,
            "closed_form_s": computed,
            "differ_in_silence": int((np.isnan(simulated) != np.isnan(computed)).sum()),
            "deviation_s": float(np.nanmax(np.abs(simulated - computed))),
        }
        for name, simulated, computed in zip(("pooled", "outputs"), found, expected, strict=True)
    }
    record.write(results)
    for name, row in results.items():
        print(
            f"{name}: {len(row['ngspice_s'])} latches or neurons, spikes differ by at most "
            f"{1e6 * row['deviation_s']:.2f} us, {row['differ_in_silence']} in silence"
        )

    # 3. Plot.
    record.plot(transient_figure(network, waves, image, held))


def bars() -> tuple[np.ndarray, np.ndarray]:
    """Return images (n x inputs) of vertical and horizontal bars of three pixels at all places, and
    their classes.
    """
    images, labels = list[np.ndarray](), list[int]()
    for label, (height, width) in enumerate(((3, 1), (1, 3))):
        for top, left in np.ndindex(SIDE - height + 1, SIDE - width + 1):
            image = np.zeros((SIDE, SIDE))
            image[top : top + height, left : left + width] = 1.0
            images.append(image.ravel())
            labels.append(label)
    return np.array(images), np.array(labels)


def rises(waves: Waveforms, node: str, level: float, after: float) -> float:
    """Return the time in s from `after` (s) until the voltage of a `node` first rises through
    `level` V; nan if it never does.
    """
    volts, time = waves[node], waves.time
    crossed = np.flatnonzero((volts[:-1] < level) & (volts[1:] >= level) & (time[1:] > after))
    if not len(crossed):
        return np.nan
    k = crossed[0]
    return float(np.interp(level, volts[k : k + 2], time[k : k + 2]) - after)


def transient_figure(
    network: Network, waves: Waveforms, image: np.ndarray, held: list[str]
) -> Figure:
    """Draw the image, the membranes of the kernels over all patches, the latches of the kernel that
    fires in most regions, and the replay. `held` names the nodes of the latches.
    """
    of, period, replay = network.convolution, slot(network), replay_start(network)
    assert of
    threshold, time = network.parameters.neuron.threshold, waves.time * 1e3
    last = np.array([waves[node][-1] for node in held]).reshape(-1, KERNELS)
    kernel = int((last < 1).sum(axis=0).argmax())
    figure = plt.figure(figsize=(WIDTH, 6.2), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(1, 5))
    picture = figure.add_subplot(grid[0, 0])
    picture.imshow(image.reshape(of.height, of.width), cmap="Greys", vmin=0, vmax=1)
    picture.set(xticks=[], yticks=[], title="image")
    upper = figure.add_subplot(grid[0, 1])
    middle, lower = figure.add_subplot(grid[1, 1], sharex=upper), figure.add_subplot(grid[2, 1])
    for axis in (upper, middle):
        axis.axvspan(1e3 * replay, time[-1], color=GREY, alpha=0.25)
        for start in 1e3 * period * np.arange(len(of.patches)):
            axis.axvline(start, color=GREY, linewidth=0.4)
    upper.tick_params(labelbottom=False)
    for m, node in enumerate(names("membrane_0", KERNELS)):
        upper.plot(time, waves[node], color=COLOURS[m], label=f"kernel {m}", linewidth=1.0)
    upper.set(ylabel="membranes (V)", title="16 patches in turn")
    upper.legend(loc="upper right", ncols=3, fontsize=8)
    middle.plot(time, waves["ramp"], color=GREY, linewidth=0.6, label="ramp")
    for r, style in zip(range(of.regions**2), ("-", "--", "-.", ":"), strict=True):
        latch = waves[held[r * KERNELS + kernel]]
        middle.plot(time, latch, style, color=COLOURS[r], label=f"region {r}", linewidth=1.5)
    middle.set(
        ylabel=f"latches of kernel {kernel} (V)",
        ylim=(0, 1.7),
        xlabel="time (ms); grey: the ramp rises once more, and the layer above reads the latches",
    )
    middle.legend(loc="upper right", ncols=5, fontsize=8)
    after = (waves.time - replay) * 1e6
    for c, (node, label) in enumerate(
        zip(names("membrane_1", 2), ("vertical bar", "horizontal bar"), strict=True)
    ):
        lower.plot(after, waves[node], color=COLOURS[c], label=label, linewidth=1.2)
    for j in range(len(held)):
        rise = rises(waves, f"row_1_{j}", 0.5, replay) * 1e6
        lower.plot([rise], [0.3], "|", color=BLACK, markersize=9, label="row rises" * (j == 0))
    lower.set(
        ylabel="output membranes (V)",
        xlabel="time after the last patch (µs)",
        xlim=(0, after[-1]),
        title="The layer above",
    )
    lower.legend(loc="upper left", fontsize=8)
    for axis in (upper, lower):
        axis.axhline(threshold, color=BLACK, linestyle="--", linewidth=0.8)
    return figure


if __name__ == "__main__":
    run(main)
