"""Evidence for docs/layers.md and docs/circuit.md: both engines decide alike, and spikes differ by
nanoseconds.

Compare ngspice with the closed form: both engines read the test images of a trained network.

The voltages file may hold a network of one layer or of several ones, or a convolution. With
--tightened ngspice reads with all tolerances and the longest step divided by ten: a result counts
only if this does not change it. Writes results/layers/layers_in_ngspice_NAME.json, of the paper's
layer layer_in_ngspice_NAME.json. With 200 hidden neurons an image takes a third of a second. Ctrl-C
saves a checkpoint for --resume.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memristive.cli.reading import ranges, read_range
from memristive.cli.script import Record, add_resume, keep_apart, make_parser, print_rows, run
from memristive.datasets import DATASETS, matching_dataset
from memristive.engines.solvers import READING_LAYERS
from memristive.io.networks import describe_network, load_network
from memristive.parameters import Fields
from memristive.scores.checks import warn_of_layers
from memristive.scores.decisions import (
    decide,
    deviations,
    end_of_read,
    lead,
    resolution_of,
    strict_scores,
)

Spikes = Sequence[np.ndarray]  # first spikes in s of each layer, images x neurons


def main(arguments: list[str] | None = None) -> None:
    """Read test images in both engines; save and print the differences."""
    parser = add_resume(make_parser(__doc__, "layers", parameters=False))
    parser.add_argument(
        "--data", choices=DATASETS, default="mnist", help="dataset (default: mnist)"
    )
    parser.add_common("--voltages", None, "default: voltages/layers_NAME.json")
    parser.add_argument("--tightened", action="store_true", help="tolerances of a tenth in ngspice")
    parser.add_common("--samples", 200)
    options = parser.parse_args(arguments)

    # 1. The network, and images that it has not seen.
    path = options.voltages or Path(f"voltages/layers_{options.data}.json")
    keep_apart(options, path)
    network, rule, voltages = load_network(path, options.data)
    layered = isinstance(voltages.states, tuple)
    seed = rule.seed if layered and rule else 1  # of the split of the digits
    dataset = matching_dataset(options.data, voltages.shape[0], seed, voltages.encoding)
    images, labels = dataset.test.first(options.samples)
    solver = READING_LAYERS.tightened() if options.tightened else READING_LAYERS
    record = Record(
        options,
        f"{'layers' if layered else 'layer'}_in_ngspice_{path.stem.removeprefix('layers_')}"
        + "_tightened" * options.tightened,
        {
            "voltages": path,
            "samples": len(images),
            "solver": solver.as_dict(),
            **describe_network(dataset.name, dataset.shape, network, rule, voltages.engine),
        },
        others=[path],
    )
    if layered:
        warn_of_layers(network, images, labels=labels, name=path.stem)

    # 2. Read all images, and compare spikes and decisions with the closed form.
    exact = network.forward(images)
    tasks = [task._replace(solver=solver) for task in ranges(network, images)]
    parts = record.run_tasks(read_range, tasks, [len(task.images) for task in tasks])
    simulated = [
        np.vstack([np.array(part, float) for part in layer]) for layer in zip(*parts, strict=True)
    ]
    resolution = resolution_of(voltages.rule, network.parameters.neuron)
    rows, differing = compare_layers(simulated, exact, network.design.window, resolution)
    scores = {
        name: {"samples": len(labels), **strict_scores(labels, decide(spikes[-1], resolution)[0])}
        for name, spikes in (("ngspice", simulated), ("closed_form", exact))
    }
    record.write({"rows": rows, "decided_differently": differing, **scores})
    print_rows(rows)
    print_rows(differing)
    print_rows([{"engine": engine, **row} for engine, row in scores.items()])


def compare_layers(
    spikes: Spikes, exact: Spikes, window: float, resolution: float
) -> tuple[list[Fields], list[Fields]]:
    """Compare first spikes of each layer (images x neurons, s) in ngspice, `spikes`, and in closed
    form, `exact`.

    Returns a row for each layer with its differences, and a row for each image that the engines
    decide differently. A read ends at its second output spike, or after the `window` (s). If only
    one engine has a spike, the other engine's neuron can only have fired after the end of its read.
    The difference counts from there. Leads below the `resolution` (s) are ties.
    """
    ends = [end_of_read(times[-1], window) for times in (spikes, exact)]
    largest = np.transpose(
        [
            np.fmax.reduce(deviations(one, two, *ends), axis=1, initial=0.0)
            for one, two in zip(spikes, exact, strict=True)
        ]
    )
    differing = np.flatnonzero(
        decide(spikes[-1], resolution)[0] != decide(exact[-1], resolution)[0]
    )
    rows = [
        {
            "read": "layer by layer",
            "compared_with": "closed form",
            "layer": layer,
            "images": len(largest),
            "largest_difference_s": most,
            "mean_largest_difference_s": mean,
            "decided_differently": len(differing),
        }
        for layer, (most, mean) in enumerate(
            zip(largest.max(axis=0), largest.mean(axis=0), strict=True), 1
        )
    ]
    return rows, [{"image": int(k), "lead_s": lead(exact[-1][k])} for k in differing]


if __name__ == "__main__":
    run(main)
