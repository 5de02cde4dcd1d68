"""Does ngspice read trained layers as the closed form does, image by image? How far off are spikes, how long does it take?

Reads a voltages file that studies.layers wrote (--data, --size and --voltages as there) and test images; each is read layer by
layer in ngspice and by the closed form. --whole N reads the first N with the whole network in one transient as well, which takes
some ten times as long. Writes figures/layers_in_ngspice_NAME_results.json, NAME being the voltages file's. Interrupted, it keeps
what is finished, in ranges of 25 images, in a checkpoint for --resume. 200 hidden neurons take a third of a second an image.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from memristive.cli import layer_reads
from memristive.cli.command_line import file_name, make_parser, progress, whole_number
from memristive.cli.evaluation import worker_count
from memristive.cli.experiments import SIZE, VOLTAGES
from memristive.cli.kept import kept_if_stopped, save_whole, way_on
from memristive.cli.layer_reads import LayeredRead, read_layers
from memristive.io.checkpoints import AFRESH, checkpoint_path, load_checkpoint, refuse_progress
from memristive.io.claims import claimed
from memristive.io.results import path_in_project, results_path, write_results
from memristive.io.voltages import VoltagesError, states_of
from memristive.multilayer.full_transient import WholeNetwork
from memristive.multilayer.layer_network import LayeredNetwork
from memristive.multilayer.layer_ngspice import MARGIN, LayeredReader
from memristive.single_layer.scores import deviations, end_of_read
from memristive.single_layer.spike_decoding import RESOLUTION, lead, strict_decision
from memristive.spice.session import NgspiceSession
from studies.layer_experiments import (
    CHECKPOINT_EVERY,
    TASKS,
    load_network,
    refuse_size,
    rule_of,
    scores,
    stem_of,
    warn_of_layers,
)

EARLY = 1000  # reads after which a process's memory is noted for the first time


@dataclass
class Compared:
    """What reads of one kind showed so far, beside another kind's of the same images."""

    window: float  # s, of a read
    spikes: list[np.ndarray] = field(default_factory=list)  # s, of the last layer
    errors: list[list[float]] = field(default_factory=list)  # s, the largest of each layer
    others: list[tuple[int, float]] = field(default_factory=list)  # images that are decided otherwise, and the lead there in s

    def add(self, found: list[np.ndarray], exact: list[np.ndarray], stop: float = np.inf) -> None:
        """Another image: first spikes in s of each layer; a spike that only one has came after the other's end, or is off.

        `stop`: when in s a read ended at the latest.
        """
        ends = [np.minimum(end_of_read(times[-1], self.window), stop) for times in (found, exact)]
        apart = [deviations(a, b, *ends) for a, b in zip(found, exact, strict=True)]
        errors = [float(np.max(each, initial=0.0, where=~np.isnan(each))) for each in apart]
        self.keep(found[-1], exact[-1], errors)

    def keep(self, found: np.ndarray, exact: np.ndarray, errors: list[float]) -> None:
        """Another image: first spikes in s of the last layer, and the largest error in s of each layer."""
        self.errors.append(errors)
        if strict_decision(found) != strict_decision(exact):
            self.others.append((len(self.spikes), lead(exact)))
        self.spikes.append(found)

    def as_dict(self) -> dict[str, Any]:
        """For the results."""
        errors = np.array(self.errors)
        return {"images": len(errors), "decided_otherwise": [{"image": k, "lead": seconds} for k, seconds in self.others],
                "largest_error_of_layers": errors.max(axis=0).tolist(),
                "mean_largest_error_of_layers": errors.mean(axis=0).tolist()}


class Reading:
    """Reads of `images` layer by layer beside the closed form's, image by image; `parameters` are all that make them."""

    def __init__(self, network: LayeredNetwork, images: np.ndarray, parameters: dict[str, Any], checkpoint: Path) -> None:
        self._network, self._images, self._checkpoint = network, images, checkpoint
        self._exact = network.forward(images)
        self._parameters = parameters
        self.found, self._seconds = Compared(network.design.window), list[float]()  # s of CPU, of each read
        self.early: float | None = None  # MB
        self.largest: float | None = None  # MB

    def begin(self, resume: bool, force: bool) -> None:
        """Go on from the checkpoint, or see that there is none whose reads would be lost.

        Raises VoltagesError for a checkpoint that cannot be used, NotOverwritten for one that neither option speaks of.
        """
        self._again = way_on(force)
        if resume:
            self._load()
        elif not force:
            refuse_progress(self._checkpoint, self._load, "reads of an interrupted run")

    def _load(self) -> int:
        kept = load_checkpoint(self._checkpoint, self._parameters, self._arrays())
        done = int(kept["done"])
        if not 0 < done <= len(self._images) or done != self._in_ranges(done):
            raise VoltagesError(f"{self._checkpoint}: says that {done} of {len(self._images)} images are read; {AFRESH}")
        if (kept["errors"] < 0).any() or (kept["cpu_seconds"] < 0).any():
            raise VoltagesError(f"{self._checkpoint}: holds negative errors or times; {AFRESH}")
        spikes = np.where(kept["spikes"] < 0, np.nan, kept["spikes"])
        for k in range(done):
            self.found.keep(spikes[k], self._exact[-1][k], kept["errors"][k].tolist())
        self._seconds = kept["cpu_seconds"][:done].tolist()
        return done

    def _arrays(self) -> dict[str, Any]:
        """How many images are read, and of each the last layer's first spikes in s (-1: none), errors, and seconds."""
        done, shape = self._in_ranges(len(self.found.spikes)), self._exact[-1].shape
        spikes, errors, seconds = np.full(shape, -1.0), np.zeros((shape[0], len(self._exact))), np.zeros(shape[0])
        if done:
            spikes[:done], errors[:done] = np.nan_to_num(self.found.spikes[:done], nan=-1.0), self.found.errors[:done]
            seconds[:done] = self._seconds[:done]
        return {"done": done, "spikes": spikes, "errors": errors, "cpu_seconds": seconds}

    def _in_ranges(self, done: int) -> int:
        """Of `done` images those of finished ranges: resumed within one, it would be read otherwise, by nanoseconds."""
        return done if done == len(self._images) else done // layer_reads.RANGE * layer_reads.RANGE

    @property
    def cpu_seconds(self) -> float:
        """Of all reads."""
        return sum(self._seconds)

    def read(self, jobs: int) -> None:
        """Read what is left, on `jobs` processes; a run that is interrupted leaves a checkpoint."""
        start = len(self.found.spikes)
        reads = read_layers(self._network, self._images[start:], jobs)
        with kept_if_stopped(self.save), progress(reads, len(self._images) - start, "reading", "image") as bar:
            self._take(bar, start)
            self.save()  # judging them takes a moment, whole networks longer

    def _take(self, bar: "tqdm[LayeredRead]", start: int) -> None:
        saved = time.perf_counter()
        for k, read in enumerate(bar, start):
            self._add(read, [layer[k] for layer in self._exact])
            bar.set_postfix(otherwise=len(self.found.others), refresh=False)
            if time.perf_counter() - saved > CHECKPOINT_EVERY:
                self.save()
                saved = time.perf_counter()

    def _add(self, read: LayeredRead, exact: list[np.ndarray]) -> None:
        self.found.add(read.layers, exact)
        self._seconds.append(read.cpu_seconds)
        if read.megabytes is not None:
            self.early = read.megabytes if read.number == EARLY else self.early
            self.largest = max(self.largest or 0.0, read.megabytes)

    def save(self) -> str:
        """Write the checkpoint, if a range is finished; what to say of it."""
        arrays = self._arrays()
        if arrays["done"]:
            save_whole(self._checkpoint, arrays, self._parameters)
        return f"what is read is saved in {self._checkpoint}; {self._again}" if arrays["done"] else ""

    def kept(self) -> None:
        """The results are saved: a checkpoint has done its work."""
        self._checkpoint.unlink(missing_ok=True)


def read_whole(network: LayeredNetwork, images: np.ndarray, session: NgspiceSession) -> tuple[Compared, Compared]:
    """Whole networks' reads beside the closed form's, and reads layer by layer beside the whole networks'."""
    exact, reader, whole = network.forward(images), LayeredReader(session, network), WholeNetwork(session, network)
    beside_formula, layered = (Compared(network.design.window) for _ in range(2))
    for k, image in enumerate(progress(images, len(images), "whole networks", "image")):
        times, second = reader.read(network, image)[0], end_of_read(exact[-1][k], network.design.window)
        stop = min(float(second) + MARGIN, network.design.window)
        found = whole.read(image, stop)
        beside_formula.add(found, [layer[k] for layer in exact], stop)
        layered.add(times, found, stop)
    return beside_formula, layered


def make_study_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = make_parser(__doc__, {"--netlist": "studies.layers writes the netlist of a read"})
    parser.add_argument("--data", choices=[name for name in TASKS if name != "xor"], default="mnist",
                        help="what the network has learned (default: mnist)")
    parser.add_argument("--size", type=int, choices=range(4, 29), metavar="N",
                        help=f"side of MNIST's images in pixels (default: {SIZE})")
    parser.add_argument("--voltages", type=file_name, metavar="FILE", help="the network (default: voltages/layers_DATA.json)")
    parser.add_argument("--samples", type=whole_number(1, 10000), metavar="N", default=200,
                        help="the first N test images (default: 200)")
    parser.add_argument("--whole", type=whole_number(0, 10000), metavar="N", default=0,
                        help="the first N also with the whole network in one transient (default: 0)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an interrupted run")
    parser.add_argument("--jobs", type=whole_number(1, 1024), default=worker_count(), metavar="N",
                        help="worker processes (default: one a core)")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run the study with the given command-line arguments."""
    parser = make_study_parser()
    options = parser.parse_args(arguments)
    refuse_size(parser, options.data, options.size)
    options.size = options.size or SIZE
    task = TASKS[options.data]
    path = options.voltages or VOLTAGES / f"{stem_of(options.data, options.size)}.json"
    network, voltages = load_network(path, task, options.size)
    data = task.data(options.size, rule_of(voltages, path).seed)
    images, labels, session = data.test_images[:options.samples], data.test_labels[:options.samples], NgspiceSession()
    if options.whole > len(images):
        parser.error(f"--whole: there are {len(images)} images, got {options.whole}; --samples N gives more")
    name = f"layers_in_ngspice_{path.stem.removeprefix('layers_')}"
    trained = {"trained_by": voltages.origin.get("engine"), "learning": voltages.origin.get("learning")}
    used = {"voltages": path_in_project(path), **states_of(voltages, *network.states),
            "sizes": network.sizes, **trained, "samples": len(images), "whole": options.whole}
    written = results_path(options.figures, name)
    checkpoint = checkpoint_path(written)
    with claimed([(written, used)], [checkpoint], options.force):
        reading = Reading(network, images, {**used, "states": used["states"]["number"]}, checkpoint)
        reading.begin(options.resume, options.force)
        warn_of_layers(network, images)
        reading.read(options.jobs)
        with kept_if_stopped(reading.save):
            results = judged(reading, network, images, labels)
            if options.whole:
                formula, layered = read_whole(network, images[:options.whole], session)
                results |= {"whole_beside_closed_form": formula.as_dict(), "layer_by_layer_beside_whole": layered.as_dict()}
        print(f"wrote {write_results(options.figures, name, session, used, results)}")
        reading.kept()
    report(results)


def judged(reading: Reading, network: LayeredNetwork, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What came of the reads, and of the same images in closed form."""
    return {"cpu_seconds_an_image": reading.cpu_seconds / len(images), "megabytes_after_1000_reads": reading.early,
            "megabytes_at_the_end": reading.largest, "layer_by_layer_beside_closed_form": reading.found.as_dict(),
            "ngspice": scores(labels, np.array(reading.found.spikes)),
            "closed_form": scores(labels, network.first_spikes(images))}


def report(results: dict[str, Any]) -> None:
    """Print what was found."""
    kinds = {key: results[key] for key in ("layer_by_layer_beside_closed_form", "whole_beside_closed_form",
                                           "layer_by_layer_beside_whole") if key in results}
    print(f"{'reads':34} {'images':>6} {'decided otherwise':>17}  largest error of each layer / us")
    for key, kind in kinds.items():
        errors = " ".join(f"{1e6 * error:.3f}" for error in kind["largest_error_of_layers"])
        print(f"{key.replace('_', ' '):34} {kind['images']:6} {len(kind['decided_otherwise']):17}  {errors}")
    for image in kinds["layer_by_layer_beside_closed_form"]["decided_otherwise"]:
        print(f"image {image['image']} is decided otherwise: in closed form the first spike leads by {image['lead'] * 1e9:.1f} "
              f"ns (below {RESOLUTION * 1e9:.0f} ns nothing is decided)")
    for engine in ("ngspice", "closed_form"):
        low, high = results[engine]["strict_interval_95"]
        print(f"strict accuracy by {engine.replace('_', ' ')}: {results[engine]['strict_accuracy']:.2%} of "
              f"{results[engine]['samples']} (95 % interval {low:.2%} to {high:.2%})")
    print(f"{results['cpu_seconds_an_image']:.3f} s of CPU an image")
    if results["megabytes_after_1000_reads"]:
        print(f"memory: {results['megabytes_after_1000_reads']:.0f} MB after {EARLY} reads, "
              f"{results['megabytes_at_the_end']:.0f} MB at the end")


if __name__ == "__main__":
    sys.exit(run(main))
