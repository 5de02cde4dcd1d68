"""MNIST test: the trained crossbar reads 10,000 test images, in ngspice on all cores or in closed
form.

Reads any voltages file of one layer for MNIST; size, encoding, device and chip are in the file.
Writes results/one_layer/NAME.json, results/one_layer/NAME_decisions.csv.gz and figures/NAME_*.png.
A minute in ngspice on two cores, two seconds in closed form.
"""

from datasets import mnist
from memristive.cli.reading import read_images, save_test
from memristive.cli.script import Record, add_jobs, apply_settings, keep_apart, make_parser, run
from memristive.engines.read_netlist import netlist
from memristive.io.records import describe
from memristive.io.voltages import load_voltages
from memristive.network.design import NGSPICE
from memristive.network.networks import Network, network_on_chip
from memristive.parameters import Fields
from memristive.scores.decisions import confusion, equal_templates, resolution_of


def main(arguments: list[str] | None = None) -> None:
    """Load a trained network, read the test images, decide, save, print, plot."""
    parser = make_parser(__doc__, "one_layer", voltages="voltages/mnist.json", netlist=True)
    parser.add_common("--samples", None)
    parser.add_common("--engine", NGSPICE)
    options = add_jobs(parser).parse_args(arguments)
    keep_apart(options, options.voltages)

    # 1. The trained network, and the test images encoded as its training images were.
    voltages = load_voltages(options.voltages, "mnist", classes=10)
    dataset = mnist(voltages.shape[0], voltages.encoding)
    setup = voltages.setup(dataset.setup)
    setup = setup.replace(schedule=apply_settings(options, schedule=setup.schedule)[0])
    images, labels = dataset.test.first(options.samples)
    name = options.voltages.stem.replace("mnist", "mnist_test", 1) + "_by_closed_form" * (
        options.engine != NGSPICE
    )
    record = Record(
        options,
        name,
        {
            "voltages": options.voltages,
            "engine": options.engine,
            "trained_by": voltages.engine,
            "rule": voltages.rule,
            "learning": voltages.origin.get("learning"),
            "samples": len(images),
            **describe(setup, voltages.chip),
        },
        others=[options.voltages],
    )
    network = network_on_chip(Network.of(setup, voltages.states), voltages.chip)
    record.write_netlist(lambda: netlist(network, images[0], dataset.labels, "test image 0"))

    # 2. Read every image: first spike times, one row for each image.
    spikes = read_images(
        network, images, options.engine, jobs=options.jobs, scheduler=options.scheduler
    )

    # 3. Decide, score, save, print. A lead below the resolution is a tie; tied and silent images
    #    count as wrong.
    more: Fields = (
        {"equal_templates": equal_templates(dataset.patterns, images)}
        if voltages.rule == "hebbian"
        else {}
    )
    strict = save_test(
        record,
        labels,
        spikes,
        options.engine,
        dataset.labels,
        resolution_of(voltages.rule, setup.neuron),
        setup.schedule,
        **more,
    )

    # 4. Plot.
    import plotting  # here, because --help needs no matplotlib

    counts = confusion(labels, strict, classes=10)
    record.plot(plotting.confusion(counts, dataset.labels), "confusion")


if __name__ == "__main__":
    run(main)
