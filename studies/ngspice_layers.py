"""Does ngspice read trained layers as the closed form does? Differences of spikes and decisions, computing time, memory.

Reads a voltages file that studies.layers wrote, and test images. ngspice reads each image layer by layer. --whole N also reads
the first N images with the whole network in one transient, which takes ten times as long. Writes
results/layers_in_ngspice_NAME.json. With 200 hidden neurons an image takes a third of a second. Ctrl-C saves a checkpoint for
--resume.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memristive.cli.layered_reads import RANGE, read_ranges
from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, make_parser
from memristive.cli.progress import print_rows, progress
from memristive.io.checkpoints import checkpoint_at_interrupt, checkpoint_path, resumed, save_checkpoint
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.multilayer.clipping import warn_of_layers
from memristive.multilayer.full_transient import FullTransient
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_ngspice import MARGIN, LayeredReader
from memristive.single_layer.scores import decide, deviations, end_of_read
from memristive.single_layer.spike_decoding import RESOLUTION, lead
from memristive.spice.parameters import ParameterError
from memristive.spice.session import temporary_circuits
from studies.layer_experiments import NAMES, describe_network, load_network, score_row

WARM = 1000  # reads of a process after which its memory is printed
CHECKPOINT_EVERY = 40  # ranges of images
Spikes = Sequence[np.ndarray]  # first spikes in s of each layer, images x neurons


def main(arguments: list[str] | None = None) -> None:
    """Read test images with both engines and compare."""
    parser = add_jobs(add_resume(make_parser(__doc__, parameters=False)))
    parser.add_argument("--data", choices=NAMES, default="mnist", help="dataset (default: mnist)")
    parser.add_argument("--voltages", type=Path, metavar="FILE", help="network (default: voltages/layers_NAME.json)")
    parser.add_number("--samples", 1, 10_000, 200, "the first N test images")
    parser.add_number("--whole", 0, 10_000, 0, "the first N also with the whole network in one transient")
    options = parser.parse_args(arguments)

    # 1. The network, and images that it has not seen.
    path = options.voltages or Path(f"voltages/layers_{options.data}.json")
    network, rule, dataset, voltages = load_network(path, options.data)
    images, labels = dataset.test.levels[:options.samples], dataset.test.labels[:options.samples]
    if options.whole > len(images):
        raise ParameterError(f"--whole must be at most --samples ({len(images)}), got {options.whole}")
    record = options.results / f"layers_in_ngspice_{path.stem.removeprefix('layers_')}.json"
    parameters = {"voltages": path, "samples": len(images), "whole": options.whole,
                  **describe_network(dataset, network, rule, voltages.engine)}
    check_overwriting(record, parameters, options.force, others=[path])
    warn_of_layers(network, images)

    # 2. Read all images, in ranges; `seconds` is 0 where an image is not read yet.
    checkpoint, exact = checkpoint_path(record), network.forward(images)
    state: dict[str, Any] = resumed(checkpoint, parameters, options.resume, options.force) or {
        "seconds": np.zeros(len(images)), **{f"layer_{k}": np.full(times.shape, np.nan) for k, times in enumerate(exact)}}
    found = [state[f"layer_{k}"] for k in range(len(exact))]
    starts = [k for k in range(0, len(images), RANGE) if state["seconds"][k] == 0]
    memory: dict[int, float] = {}  # MB of a process, by the number of its reads
    with checkpoint_at_interrupt(checkpoint, lambda: state, parameters):
        for count, (first, reads) in enumerate(read_ranges(network, images, starts, options.jobs), 1):
            for k, read in enumerate(reads, first):
                for times, layer in zip(found, read.layers, strict=True):
                    times[k] = layer
                memory[read.number] = max(read.megabytes or 0.0, memory.get(read.number, 0.0))
            state["seconds"][first:first + len(reads)] = [read.cpu_seconds for read in reads]
            if count % CHECKPOINT_EVERY == 0:
                save_checkpoint(checkpoint, state, parameters)

        # 3. Compare spikes and decisions with the closed form, and with the whole network in one transient.
        window = network.design.window
        rows, differing = compare("layer by layer", found, "closed form", exact, window)
        if options.whole:
            whole, layered, stops = read_whole(network, images[:options.whole])
            first_ones = [times[:options.whole] for times in exact]
            for comparison in (compare("whole network", whole, "closed form", first_ones, window, stops),
                               compare("layer by layer", layered, "whole network", whole, window, stops)):
                rows, differing = rows + comparison[0], differing + comparison[1]
        results: dict[str, Any] = {"rows": rows, "decided_differently": differing, "ngspice": score_row(labels, found[-1]),
                   "closed_form": score_row(labels, exact[-1])}
        write_results(record, parameters, results)
    print_rows(rows)
    print_rows(differing)
    print(f"strict accuracy: {results['ngspice']['strict_accuracy']:.2%} by ngspice, "
          f"{results['closed_form']['strict_accuracy']:.2%} by the closed form")
    warm = f", {memory[WARM]:.0f} MB after {WARM} reads" if WARM in memory else ""
    print(f"CPU time of an image: {np.mean(state['seconds']):.2f} s; memory of a process: up to "
          f"{max(memory.values(), default=0.0):.0f} MB{warm}")


def compare(name: str, spikes: Spikes, other: str, others: Spikes, window: float,
            stops: np.ndarray | float = np.inf) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a row for each layer with the differences of two kinds of reads, and the images that they decide differently.

    A spike that only one read has came after the other read's end: at its second output spike, or at its stop (`stops`, s).
    """
    ends = [np.minimum(end_of_read(times[-1], window), stops) for times in (spikes, others)]
    largest = np.transpose([np.fmax.reduce(deviations(one, two, *ends), axis=1, initial=0.0)
                            for one, two in zip(spikes, others, strict=True)])
    differing = np.flatnonzero(decide(spikes[-1], RESOLUTION)[0] != decide(others[-1], RESOLUTION)[0])
    rows = [{"read": name, "compared_with": other, "layer": layer, "images": len(largest), "largest_difference_s": most,
             "mean_largest_difference_s": mean, "decided_differently": len(differing)}
            for layer, (most, mean) in enumerate(zip(largest.max(axis=0), largest.mean(axis=0), strict=True), 1)]
    return rows, [{"read": name, "compared_with": other, "image": int(k), "lead_s": lead(others[-1][k])} for k in differing]


def read_whole(network: LayeredNetwork, images: np.ndarray) -> tuple[Spikes, Spikes, np.ndarray]:
    """Read images with the whole network in one transient, and layer by layer; return both, and the stops of the transients."""
    stops = np.minimum(end_of_read(network.first_spikes(images), network.design.window) + MARGIN, network.design.window)
    whole, layered = [], []
    with temporary_circuits():
        reader, full = LayeredReader(network), FullTransient(network)
        for image, stop in zip(progress(images, len(images), "whole network", "image"), stops, strict=True):
            layered.append(reader.read(network, image)[0])
            whole.append(full.read(image, float(stop)))
    by_layer = [[np.array(times) for times in zip(*reads, strict=True)] for reads in (whole, layered)]
    return by_layer[0], by_layer[1], stops


if __name__ == "__main__":
    sys.exit(run(main))
