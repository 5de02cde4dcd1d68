"""Convolutions with first spikes: kernels that errors train, in one crossbar that reads a window
(docs/convolution.md).

--data mnist, fashion: grey images of 28x28 pixels; digits: scikit-learn's 8x8 digits;
mnist_shifted: trained also on copies moved by a pixel. --window and --regions set the convolution,
--kernels its columns, --hidden further layers. With --device a measured device stands in each cell,
and with --late its synapses write late. --held-out trains without the last sixth of the training
images (at most 10,000) and tests on these: settings are chosen so. Writes
voltages/convolution_NAME.json, results/convolution/convolution_NAME.json and
figures/convolution_NAME_*.png. In closed form MNIST takes five minutes a seed on one core. Ctrl-C
saves a checkpoint for --resume.
"""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from datasets import Dataset, Images, matching_dataset
from memristive.cli.script import Record, add_resume, apply_settings, make_parser, print_rows, run
from memristive.devices.measured_device import load_device
from memristive.io.records import (
    check_overwriting,
    checkpoint_path,
)
from memristive.io.voltages import describe_network, load_network
from memristive.learning.build import CONVOLUTION_CHANGES, convolution_settings, initial_network
from memristive.network.design import CLOSED_FORM, NGSPICE, Convolution
from memristive.network.networks import Network
from memristive.parameters import ParameterError
from plotting import WIDTH
from studies.layers import train_and_test

LARGE, HELD_OUT = 28, 10_000
# windows, regions and kernels
CONVOLUTIONS = {
    "mnist": (7, 3, 70),
    "mnist_shifted": (7, 3, 96),
    "fashion": (7, 6, 48),
    "digits": (3, 2, 16),
}
SHOWN = 32  # kernels that are drawn


def main(arguments: list[str] | None = None) -> None:
    """Train and test a network for each seed, and draw figures of the first network."""
    parser = add_resume(make_parser(__doc__, "convolution"))
    parser.add_argument(
        "--data", choices=CONVOLUTIONS, default="mnist", help="dataset (default: mnist)"
    )
    windows, regions, kernels = (
        ", ".join(f"{name} {count}" for name, count in zip(CONVOLUTIONS, counts, strict=True))
        for counts in zip(*CONVOLUTIONS.values(), strict=True)
    )
    parser.add_number("--kernels", 1, 10_000, None, f"kernels (default: {kernels})")
    parser.add_number("--window", 1, 28, None, f"pixels a side of a window (default: {windows})")
    parser.add_number("--regions", 1, 28, None, f"regions a side (default: {regions})")
    parser.add_number("--stride", 1, 28, 1, "pixels from one patch to the next")
    parser.add_common("--hidden", (), "between kernels and classes; default: none")
    parser.add_common("--device", None)
    parser.add_number("--pairs", 0, 64, 1, "with --device: pairs of a synapse; 0: single cells")
    parser.add_argument("--late", action="store_true", help="with --device: synapses write late")
    parser.add_argument("--held-out", action="store_true", help="test on held-out training images")
    parser.add_common("--engine", CLOSED_FORM)
    parser.add_common("--test-engine", CLOSED_FORM)
    parser.add_common("--samples", None)
    parser.add_common("--seeds", 1, "from rule.seed on; the first network is saved; default: 1")
    parser.add_argument(
        "--voltages", type=Path, metavar="FILE", help="trained network, by default in voltages/"
    )
    options = parser.parse_args(arguments)
    if options.late and not options.device:
        raise ParameterError("--late is for measured devices, so it needs --device")

    # 1. Data, convolution, cells, rule.
    dataset = data_of(options.data, options.held_out)
    window, regions_a_side, count = CONVOLUTIONS[options.data]
    found = Convolution(
        *dataset.shape,
        options.window or window,
        options.stride,
        options.regions or regions_a_side,
    )
    device = load_device(options.device) if options.device else None
    made, default = convolution_settings(
        device, options.pairs, options.late, CONVOLUTION_CHANGES[options.data]
    )
    convolution, design, rule = apply_settings(
        options, convolution=found, design=made["design"], rule=default
    )
    hidden = (options.kernels or count, *options.hidden)

    def prepared(number: int) -> tuple[Dataset, Network, Any]:
        """Return data, untrained network and rule of the seed rule.seed + `number`."""
        seeded = dataclasses.replace(rule, seed=rule.seed + number)
        data = data_of(options.data, options.held_out, seeded.seed)
        start = initial_network(
            hidden,
            len(data.labels),
            data.training.levels,
            seeded,
            **made | {"design": design},
            convolution=convolution,
        )
        return data, start, seeded

    dataset, start, _ = prepared(0)
    suffix = f"_{device.name}" + "_late" * options.late if device else ""
    stem = f"convolution_{dataset.name}{suffix}"
    path = options.voltages or Path("voltages") / f"{stem}.json"
    made_with = describe_network(dataset.name, dataset.shape, start, rule, options.engine)
    parameters = {
        **made_with,
        "device": device.name if device else None,
        "weights": sum(layer.neurons * layer.rows for layer in start.layers),
        "held_out": options.held_out,
        "seeds": options.seeds,
        "samples": len(dataset.test.labels[: options.samples]),
        "test_engine": options.test_engine,
    }
    check_overwriting(path, made_with, options.force, option="--voltages FILE")
    record = Record(options, stem, parameters, [path])

    # 2. Train and test one network after the other, with a checkpoint from time to time.
    rows, first = train_and_test(options, path, parameters, made_with, prepared)
    record.write(
        {
            "rows": rows,
            "mean_strict_accuracy": np.mean([row["strict_accuracy"] for row in rows]),
        },
        ngspice=NGSPICE in (options.engine, options.test_engine),
    )
    checkpoint_path(path).unlink(missing_ok=True)

    # 3. Print, and draw the first network.
    print_rows(rows)
    print(f"{parameters['weights']} weights, {len(convolution.patches)} patches an image")
    network = first or load_network(path, dataset.name)[0]
    record.plot(kernels_figure(network), "kernels")
    record.plot(places_figure(network, dataset.test.levels[0]), "places")


def data_of(name: str, held_out: bool, seed: int = 1) -> Dataset:
    """Return the dataset in full size; if `held_out`, its test set are the last training images."""
    dataset = matching_dataset(name, None if name == "digits" else LARGE, seed)
    if not held_out:
        return dataset
    levels, labels = dataset.training
    images = len(labels) // (5 if name == "mnist_shifted" else 1)  # before their shifted copies
    kept = max(images * 5 // 6, images - HELD_OUT)
    trained = np.arange(len(labels)) % images < kept
    parts = {
        "train": Images(levels[trained], labels[trained]),
        "test": Images(levels[kept:images], labels[kept:images]),
    }
    return dataclasses.replace(dataset, load_images=parts.__getitem__)


def kernels_figure(network: Network) -> Figure:
    """Draw the kernels' weights: thresholds by which a full pixel lifts the settled membrane."""
    weights, window = kernel_weights(network), network.convolution.window  # type: ignore[union-attr]
    chosen = weights[:SHOWN, :-1].reshape(-1, window, window)
    across, far = 8, float(np.abs(chosen).max())
    lines = -(-len(chosen) // across)
    figure, axes = plt.subplots(
        lines, across, figsize=(WIDTH, 0.2 + 0.82 * lines), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, kernel in zip(axes.flat, chosen, strict=False):
        image = axis.imshow(kernel, cmap="RdBu", vmin=-far, vmax=far)
    figure.colorbar(image, ax=axes, aspect=40, label="weight (thresholds)")
    return figure


def kernel_weights(network: Network) -> np.ndarray:
    """Return the weights of the kernels in thresholds, kernels x rows, the bias row last."""
    layer, states = network.layers[0], network.states[0]
    if layer.pairs:
        positive, negative = states.reshape(2, layer.pairs, layer.neurons, -1).mean(axis=1)
        volts = (positive - negative) * layer.pairs
    else:
        volts = states - layer.rest
    return (
        volts
        * layer.memristor.gain
        * layer.row_voltage
        * (layer.neuron.transresistance / layer.neuron.threshold)
    )


def places_figure(network: Network, image: np.ndarray) -> Figure:
    """Draw an image, and where each of the kernels that fire first has its earliest spikes."""
    of = network.convolution
    assert of
    kernels = network.layers[0].neurons
    times, winners = (
        part.reshape(-1, kernels)
        for part in (network.forward(image[None])[0], network.winners(image))
    )
    shown = np.argsort(np.nanmin(np.where(np.isnan(times), np.inf, times), axis=0))[:5]
    weights = kernel_weights(network)[:, :-1].reshape(kernels, of.window, of.window)
    far = np.abs(weights[shown]).max()
    figure, axes = plt.subplots(2, 6, figsize=(WIDTH, 2.9), layout="constrained")
    picture = image.reshape(of.height, of.width)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(True)
    axes[0, 0].imshow(picture, cmap="Greys", vmin=0, vmax=1)
    axes[0, 0].set_title("image", fontsize=9)
    axes[1, 0].set_axis_off()
    centres = (of.window - 1) / 2 + of.stride * np.stack(
        np.divmod(np.arange(len(of.patches)), of.places[1]), axis=1
    )
    norm = LogNorm(np.nanmin(times[:, shown]) * 1e6, np.nanmax(times[:, shown]) * 1e6)
    for column, kernel in enumerate(shown, 1):
        weight = axes[0, column].imshow(weights[kernel], cmap="RdBu", vmin=-far, vmax=far)
        axes[0, column].set_title(f"kernel {kernel}", fontsize=9)
        axes[1, column].imshow(picture, cmap="Greys", vmin=0, vmax=2)
        fired = ~np.isnan(times[:, kernel])
        place = centres[winners[fired, kernel]]
        marks = axes[1, column].scatter(
            place[:, 1],
            place[:, 0],
            c=times[fired, kernel] * 1e6,
            s=18,
            cmap="viridis",
            norm=norm,
        )
    figure.colorbar(weight, ax=axes[0], label="weight\n(thresholds)", aspect=12)
    times_bar = figure.colorbar(
        marks, ax=axes[1], label="earliest spike in\nits region (µs)", aspect=12
    )
    times_bar.ax.yaxis.set(
        major_locator=LogLocator(subs=(1, 2, 5)),
        major_formatter="{x:g}",
        minor_formatter=NullFormatter(),
    )
    return figure


if __name__ == "__main__":
    run(main)
