"""Evidence for docs/learning.md: one layer that learns from errors in ngspice, image by image.

Learning from errors: one layer learns any dataset image by image, on an ideal chip or on an
imperfect one, and is tested.

The crossbar reads a training image. If the right neuron does not lead by the margin, its column is
potentiated and the column of the first wrong neuron depressed (docs/learning.md). --engine chooses
what reads and writes: ngspice or the closed form. Writes voltages/NAME.json,
results/one_layer/NAME_training.json, results/one_layer/NAME_test.json and figures/NAME_*.png. For
MNIST: 30 minutes in ngspice, 30 s in closed form.
"""

from pathlib import Path

import numpy as np

from memristive import plotting
from memristive.cli.reading import read_images, save_test
from memristive.cli.script import (
    Record,
    add_resume,
    apply_settings,
    make_parser,
    run,
)
from memristive.datasets import DATASETS, ENCODINGS, load_dataset
from memristive.engines.read_netlist import netlist
from memristive.io.networks import describe_network, save
from memristive.io.records import (
    check_overwriting,
    checkpoint_at_interrupt,
    checkpoint_path,
    resumed,
    save_checkpoint,
)
from memristive.learning.build import paper_network
from memristive.learning.training import Learning, learning_curve, train
from memristive.network.chip import load_chip
from memristive.network.crossbar import NO_CLOSED_FORM
from memristive.network.design import CLOSED_FORM, NGSPICE, Setup
from memristive.network.networks import network_on_chip
from memristive.parameters import ParameterError
from memristive.progress import progress
from memristive.scores.checks import warn_of_range

CHECKPOINT_EVERY = {NGSPICE: 100, CLOSED_FORM: 50_000}  # presentations


def main(arguments: list[str] | None = None) -> None:
    """Train from errors, save, test, save, print, plot."""
    parser = add_resume(make_parser(__doc__, "one_layer", netlist=True))
    parser.add_argument(
        "--data", choices=DATASETS, default="mnist", help="dataset (default: mnist)"
    )
    parser.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="pixels on or off, or voltages proportional to grey levels",
    )
    parser.add_common("--engine", NGSPICE)
    parser.add_common("--chip", "ideal")
    parser.add_common("--voltages", None, "default: voltages/NAME.json")
    options = parser.parse_args(arguments)

    # 1. Data, device, neuron, pulses, rule and chip.
    dataset = load_dataset(options.data, encoding=options.encoding)
    classes, inputs = dataset.patterns.shape
    setup = dataset.setup
    memristor, neuron, schedule, rule, chip = apply_settings(
        options,
        memristor=setup.memristor,
        neuron=setup.neuron,
        schedule=setup.schedule,
        rule=dataset.rule,
        chip=load_chip(options.chip, classes, inputs),
    )
    chip.check_shape(classes, inputs)
    setup, chip = Setup(memristor, neuron, schedule), None if chip.ideal else chip
    network = network_on_chip(paper_network(setup, rule, classes, inputs), chip)
    if network.wired and options.engine == CLOSED_FORM:
        raise ParameterError(NO_CLOSED_FORM)
    images, labels = dataset.training
    name = (  # as mnist_error_driven_grey or mnist_closed_form_chip_seed_2
        dataset.name
        + ("_error_driven" if options.engine == NGSPICE else "_closed_form")
        + "_grey" * (dataset.name == "mnist" and dataset.encoding == "grey")
        + "_chip" * (chip is not None)
        + f"_seed_{rule.seed}" * (rule.seed != 1)
    )
    path = options.voltages or Path("voltages") / f"{name}.json"
    parameters = describe_network(
        dataset.name, dataset.shape, network, rule, options.engine, dataset.encoding
    )
    test_engine = CLOSED_FORM if dataset.load_images and not network.wired else NGSPICE
    check_overwriting(path, parameters, options.force, [options.chip], "--voltages FILE")
    record = Record(options, f"{name}_training", parameters, [options.chip, path])
    test_record = Record(
        options, f"{name}_test", {**parameters, "test_engine": test_engine}, [options.chip, path]
    )

    # 2. Train, with a checkpoint from time to time and at Ctrl-C.
    checkpoint = checkpoint_path(path)
    progressed = resumed(checkpoint, parameters, options.resume, options.force)
    learning = Learning.start(network, rule)
    if progressed:
        learning = learning.restored(progressed, checkpoint)
    setup, (states,) = network.setup, learning.network.states
    record.write_netlist(
        lambda: netlist(learning.network, images[0], dataset.labels, "training image 0")
    )
    pulse = rule.dose / network.layers[0].write_rate
    warn_of_range(setup, states, images[:100], write=pulse * (options.engine == NGSPICE))
    with (
        checkpoint_at_interrupt(checkpoint, learning.arrays, parameters),
        progress(range(0), rule.presentations, "learning", "image") as bar,
    ):
        for done, running in train(learning, rule, images, labels, engine=options.engine):
            bar.update(done - bar.n)
            bar.set_postfix(
                accuracy=f"{running:.1%}", writes=np.sum(learning.history[:done, 1]), refresh=False
            )
            if done % CHECKPOINT_EVERY[options.engine] == 0:
                save_checkpoint(checkpoint, learning.arrays(), parameters)

    # 3. Save.
    save(
        path,
        learning.network,
        rule,
        dataset.name,
        dataset.shape,
        options.engine,
        dataset.encoding,
        overwrite=True,
    )
    (states,), (accuracy, writes) = learning.network.states, learning_curve(learning.history)
    record.write(
        {
            "presentations": len(accuracy),
            "writes": int(writes[-1]),
            "running_accuracy": float(accuracy[-1]),
        }
    )
    checkpoint.unlink(missing_ok=True)

    # 4. Test on images that the network has never seen, or on the patterns of a dataset without
    #    test images.
    test = dataset.test if dataset.load_images else dataset.training
    spikes = read_images(
        learning.network, test.levels, test_engine, jobs=options.jobs, scheduler=options.scheduler
    )
    save_test(test_record, test.labels, spikes, test_engine, dataset.labels)
    print(
        f"presented {len(accuracy)} images, wrote after {writes[-1]} of them; last running "
        f"accuracy {accuracy[-1]:.2%}"
    )

    # 5. Plot.
    if not network.wired:
        crossbar = network.crossbar
        races = {
            "before learning": crossbar.read(network.states[0], images[0]),
            "after learning": crossbar.read(states, images[0]),
        }
        image = images[0].reshape(dataset.shape)
        plotting.save(
            plotting.race(races, crossbar, dataset.labels, image),
            options.figures / f"{name}_race.png",
        )
    plotting.save(
        plotting.weight_images(states, dataset.shape, dataset.labels),
        options.figures / f"{name}_trained.png",
    )


if __name__ == "__main__":
    run(main)
