"""Does ngspice agree, with the SPICE model itself in each cell? One layer of pairs in a passive
array (V/2), MNIST's grey 10x10.

The closed form knows a model by its measured curves only. Here ngspice simulates the subcircuit in
all 2,020 cells. It reads test images with a layer that the closed form has trained, and decisions
are compared. Then it reads and writes training images with whole pulses. Every presentation starts
in both engines from the states that ngspice has reached, and the writes of all cells are compared,
half-selected ones included. Writes results/devices/subcircuit_layer.json; 8 to 40 minutes a model
on one core. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
from typing import Any

import numpy as np

from memristive.cli.script import Record, add_resume, make_parser, run, table
from memristive.devices.spice_model import load_model
from memristive.engines.engine import ModelCells, NgspiceNetwork
from memristive.learning.rule import first_wrong_neuron, margin_factor
from memristive.learning.training import Learning, present, train, write_generator
from memristive.network.two_terminal import HALF
from memristive.scores.decisions import RESOLUTION, decide
from studies.half_select import MODELS, USUAL, data, prepared, trained

STARTED = 1000  # presentations in closed form before those in ngspice: equal states would tie
# dose of the presentations in ngspice, share of the range: whole pulses for most of the driven rows
PULSED = 1e-2


def main(arguments: list[str] | None = None) -> None:
    """Compare the engines for each model, save and print."""
    parser = add_resume(make_parser(__doc__, "devices", parameters=False))
    parser.add_argument(
        "--models",
        nargs="+",
        action="extend",
        choices=MODELS,
        metavar="NAME",
        help="default: all five",
    )
    parser.add_common("--samples", 1000)
    parser.add_number("--presentations", 1, 10_000, 100, "training images")
    options = parser.parse_args(arguments)
    models = options.models or MODELS
    record = Record(
        options,
        "subcircuit_layer",
        {"models": models, "images": options.samples, "presentations": options.presentations},
    )
    tasks = [(name, options.samples, options.presentations) for name in models]
    rows = record.run_tasks(compared, tasks, [options.samples + options.presentations] * len(tasks))
    record.write({"rows": rows})
    print(
        table(
            (
                "model",
                "same decisions",
                "accuracy ngspice, closed form",
                "spikes (ns)",
                "same errors",
                "written",
                "write difference: largest, rms (steps)",
            ),
            [
                (
                    row["model"],
                    f"{row['same_decisions']} of {row['images']}",
                    f"{row['ngspice_accuracy']:.2%}, {row['closed_form_accuracy']:.2%}",
                    f"{1e9 * row['spike_difference_s']:.0f}",
                    f"{row['same_errors']} of {row['presentations']}",
                    row["written"],
                    f"{row['largest_difference_steps']:.2g}, {row['rms_difference_steps']:.1g}",
                )
                for row in rows
            ],
        )
    )


def compared(task: tuple[str, int, int]) -> dict[str, Any]:
    """Compare the engines for one model in reads and in writes; return the differences as a row.
    `task`: model, numbers of images and of presentations. Runs in a worker.
    """
    name, images, presentations = task
    cells = ModelCells(load_model(name), HALF)
    return {"model": name, **compared_reads(cells, images), **compared_writes(cells, presentations)}


def compared_reads(cells: ModelCells, count: int) -> dict[str, Any]:
    """Read the first `count` test images with a trained layer in both engines. Return a dict with
    the number of equal decisions, both accuracies, the largest difference of spikes in s, and the
    number of neurons that are silent in one engine only.
    """
    network = trained(cells.device, HALF, USUAL)
    images, labels = data().test.first(count)
    exact, spikes = network.first_spikes(images), cells.read_images(network, images)[0][-1]
    ours, theirs = decide(exact, RESOLUTION)[0], decide(spikes, RESOLUTION)[0]
    return {
        "images": count,
        "same_decisions": int(np.sum(ours == theirs)),
        "ngspice_accuracy": float(np.mean(theirs == labels)),
        "closed_form_accuracy": float(np.mean(ours == labels)),
        "spike_difference_s": float(np.nanmax(np.abs(spikes - exact))),
        "silent_in_one_engine": int(np.sum(np.isnan(spikes) != np.isnan(exact))),
    }


def compared_writes(cells: ModelCells, presentations: int) -> dict[str, Any]:
    """Read and write training images in both engines, each presentation from the same states.
    Return a dict with the number of presentations with the same error, the number of those with a
    write, and the largest and the RMS difference of written states in steps of the device.
    """
    start, rule = (
        trained(cells.device, HALF, USUAL, STARTED),
        prepared(cells.device, HALF, PULSED, presentations)[1],
    )
    assert start.pulses
    network = dataclasses.replace(start, pulses=dataclasses.replace(start.pulses, whole=1))
    learning, (images, labels) = Learning.start(network, rule), data().training
    same, written, differences = 0, 0, []
    for k, index in enumerate(rule.order(len(labels), 0, presentations)):
        exact = dataclasses.replace(learning, history=learning.history.copy())
        times = [learning.network.first_spikes(images[index][None])[0]]
        next(train(exact, rule, images, labels, block=1))
        # as in the closed form, which starts anew for each presentation
        rng = write_generator(rule, k)
        times.append(
            present(
                learning,
                rule,
                NgspiceNetwork(network, cells=cells),
                images[index],
                int(labels[index]),
                rng,
            )
        )
        margin = rule.margin * margin_factor(k, rule.presentations, rule.final_margin)
        wrong = [
            (first_wrong_neuron(spikes, labels[index], margin), np.isnan(spikes[labels[index]]))
            for spikes in times
        ]
        same += wrong[0] == wrong[1]
        written += learning.history[k, 1]
        differences.append(learning.network.states[0] - exact.network.states[0])
    apart = np.array(differences) / start.pulses.step
    return {
        "presentations": presentations,
        "same_errors": same,
        "written": written,
        "largest_difference_steps": np.abs(apart).max(initial=0.0),
        "rms_difference_steps": np.sqrt(np.mean(apart**2)),
    }


if __name__ == "__main__":
    run(main)
