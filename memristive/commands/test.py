"""Test of any trained network: it reads test images, on its own chip or on another one.

The voltages file records dataset, encoding, device, layers and chip. Another chip (--chip, --set
chip.NAME=VALUE) is the ex-situ case: the weights were not learned there. With --age, cells first
drift or relax for this time as their device does, or lose charge on a chip with decay. Writes
results/reads/NAME_read.json, results/reads/NAME_read_decisions.csv.gz and
figures/NAME_read_confusion.png; names for another chip, an age and the closed form follow
NAME_read. Networks with hidden layers are read in closed form by default. In ngspice a convolution
reads one image of each class. For MNIST and one layer: a minute in ngspice, two seconds in closed
form; with 200 hidden neurons an hour in ngspice.
"""

from pathlib import Path

import numpy as np

from memristive import plotting
from memristive.cli.reading import OF_NETWORK, read_images, save_test, trained_network
from memristive.cli.script import Record, add_jobs, apply_settings, keep_apart, make_parser
from memristive.datasets import Images
from memristive.engines.read_netlist import netlist
from memristive.io.networks import describe_network
from memristive.io.records import describe, differences
from memristive.network.chip import Chip, load_chip
from memristive.network.design import CLOSED_FORM, NGSPICE
from memristive.network.networks import network_on_chip
from memristive.parameters import Fields
from memristive.scores.checks import warn_of_layers
from memristive.scores.decisions import RESOLUTION, confusion, resolution_of


def main(arguments: list[str] | None = None) -> None:
    """Load network and chip, read, decide, save, print, plot."""
    parser = add_jobs(make_parser(__doc__, "reads", netlist=True))
    parser.add_argument("network", nargs="?", type=Path, metavar="NETWORK", help="voltages file")
    parser.add_common("--voltages", None, "the same")
    parser.add_common("--data", None, OF_NETWORK)
    parser.add_common("--chip", None, "default: the chip of the training")
    parser.add_argument(
        "--age",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time since the training, of a device that drifts or relaxes, or a chip with decay",
    )
    parser.add_common("--engine", None, "default: ngspice; closed-form with hidden layers")
    parser.add_common("--samples", None, "default: all; of a convolution in ngspice one a class")
    options = parser.parse_args(arguments)
    options.voltages = options.network or options.voltages
    if not options.voltages:
        parser.error("name the voltages file of a trained network")
    keep_apart(options, options.voltages, options.chip)

    # 1. The trained network, and the test images encoded as its training images were; without test
    #    images, the patterns.
    network, rule, voltages, dataset = trained_network(options.voltages, options.data)
    classes, inputs = network.sizes[-1], network.states[-1].shape[1]
    images = dataset.test if dataset.load_images else dataset.training
    deep = len(network.states) > 1  # ngspice takes an hour for 10,000 images and 200 hidden neurons
    options.engine = options.engine or (CLOSED_FORM if deep else NGSPICE)
    if network.patches and options.engine == NGSPICE and not options.samples:
        # ngspice takes seconds for an image of 36 patches, and many minutes for all of them
        chosen = np.unique(images.labels, return_index=True)[1]
        images = Images(images.levels[chosen], images.labels[chosen])
        print(f"ngspice reads the first image of each of {len(chosen)} classes; more: --samples N")
    levels, labels = images.first(options.samples)

    # 2. The chip of the training, or another one, some time later.
    trained = voltages.chip or Chip(classes, inputs)
    (chip,) = apply_settings(
        options, chip=load_chip(options.chip, classes, inputs) if options.chip else trained
    )
    changes, devices = differences(trained.as_dict(), chip.as_dict()), None if chip.ideal else chip
    if changes:
        print(f"ex situ: the chip differs from the chip of the training: {', '.join(changes)}")
    on = f"_on_{Path(options.chip).stem}" if options.chip else ""
    described: Fields
    network, resolution = network_on_chip(network, devices), RESOLUTION
    age = f"_after_{options.age:g}_s" if options.age else ""
    if options.age:
        network = network.aged(options.age)
    if network.paper:
        described = describe(network.setup, devices)
        resolution = resolution_of(voltages.rule, network.parameters.neuron)
    else:
        described = describe_network(dataset.name, dataset.shape, network, rule, voltages.engine)
        warn_of_layers(network, levels, labels=labels, name=options.voltages.stem)
    record = Record(
        options,
        f"{options.voltages.stem}_read{on}{age}{'_by_closed_form' * (options.engine != NGSPICE)}",
        {
            **described,
            "voltages": options.voltages,
            "dataset": dataset.name,
            "engine": options.engine,
            "age_s": options.age,
            "ex_situ": changes,
            "samples": len(labels),
            **dataset.recorded,
        },
        others=[options.voltages, options.chip],
    )
    record.write_netlist(lambda: netlist(network, levels[0], dataset.labels, "test image 0"))

    # 3. Read, decide, score, save, print.
    spikes = read_images(
        network, levels, options.engine, jobs=options.jobs, scheduler=options.scheduler
    )
    strict = save_test(record, labels, spikes, options.engine, dataset.labels, resolution)

    # 4. Plot.
    record.plot(plotting.confusion(confusion(labels, strict, classes), dataset.labels), "confusion")
