"""Does ngspice read trained layers as the closed form does, image by image? How far off are spikes, how long does it take?

Reads a voltages file that studies.layers wrote (--data, --size and --voltages as there) and test images; each is read layer by
layer in ngspice and by the closed form. --whole N reads the first N with the whole network in one transient as well, which takes
some ten times as long. Writes figures/layers_in_ngspice_NAME_results.json, NAME being the voltages file's; of what is finished
if it is interrupted, layers_in_ngspice_NAME_partial_results.json. 200 hidden neurons take a quarter of a second an image.
"""

if __name__ == "__main__":
    from workflow.loading import run

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from learning.decoding import RESOLUTION, lead, strict_decision
from learning.layer_readout import MARGIN, LayeredReader
from learning.layer_rule import LayeredRule
from learning.layer_witness import WholeNetwork
from learning.layers import LayeredNetwork
from records.claims import claimed
from records.results import path_in_project, results_path, write_results
from spice.session import NgspiceSession
from workflow.command_line import make_parser, progress, whole_number
from workflow.experiments import SIZE, VOLTAGES
from workflow.layered import TASKS, load_network, refuse_size, scores, stem_of
from workflow.process import undisturbed

EARLY = 1000  # reads after which memory is noted for the first time
STATM = Path("/proc/self/statm")  # Linux's count of a process's pages


def megabytes() -> float | None:
    """Resident memory of this process in MB; None where the system does not say."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * 4096 / 1e6 if STATM.exists() else None


@dataclass
class Compared:
    """What reads of one kind showed so far, beside another kind's of the same images."""

    spikes: list[np.ndarray] = field(default_factory=list)  # s, of the last layer
    errors: list[list[float]] = field(default_factory=list)  # s, the largest of each layer
    others: list[tuple[int, float]] = field(default_factory=list)  # images that are decided otherwise, and the lead there in s

    def add(self, found: list[np.ndarray], exact: list[np.ndarray]) -> None:
        """Another image: first spikes in s of each layer; a spike that only one of the two has came after the other's end."""
        self.errors.append([float(np.max(np.abs(a - b), initial=0.0, where=~np.isnan(a - b)))
                            for a, b in zip(found, exact, strict=True)])
        if strict_decision(found[-1]) != strict_decision(exact[-1]):
            self.others.append((len(self.spikes), lead(exact[-1])))
        self.spikes.append(found[-1])

    def as_dict(self) -> dict[str, Any]:
        """For the results."""
        errors = np.array(self.errors)
        return {"images": len(errors), "decided_otherwise": [{"image": k, "lead": seconds} for k, seconds in self.others],
                "largest_error_of_layers": errors.max(axis=0).tolist(),
                "mean_largest_error_of_layers": errors.mean(axis=0).tolist()}


def read_all(network: LayeredNetwork, images: np.ndarray, session: NgspiceSession, found: Compared) -> dict[str, Any]:
    """Read all `images` layer by layer into `found`; returns how long it took. What is finished stays if it is interrupted."""
    exact, reader = network.forward(images), LayeredReader(session, network)
    start, early = time.process_time(), None
    with progress(images, len(images), "reading", "image") as bar:
        for k, image in enumerate(bar):
            if k == EARLY:
                early = megabytes()
            found.add(reader.read(network, image)[0], [layer[k] for layer in exact])
            bar.set_postfix(otherwise=len(found.others), refresh=False)
    return {"cpu_seconds_an_image": (time.process_time() - start) / len(images), "megabytes_after_1000_reads": early,
            "megabytes_at_the_end": megabytes()}


def read_whole(network: LayeredNetwork, images: np.ndarray, session: NgspiceSession) -> tuple[Compared, Compared]:
    """Whole networks' reads beside the closed form's, and reads layer by layer beside the whole networks'."""
    exact, reader, whole = network.forward(images), LayeredReader(session, network), WholeNetwork(session, network)
    beside_formula, layered = Compared(), Compared()
    for k, image in enumerate(progress(images, len(images), "whole networks", "image")):
        times, second = reader.read(network, image)[0], np.sort(np.where(np.isnan(exact[-1][k]), np.inf, exact[-1][k]))[1]
        found = whole.read(image, min(second + MARGIN, network.design.window))
        beside_formula.add(found, [layer[k] for layer in exact])
        layered.add(times, found)
    return beside_formula, layered


def make_study_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = make_parser(__doc__, {"--netlist": "studies.layers writes the netlist of a read"})
    parser.add_argument("--data", choices=[name for name in TASKS if name != "xor"], default="mnist",
                        help="what the network has learned (default: mnist)")
    parser.add_argument("--size", type=int, choices=range(4, 29), metavar="N",
                        help=f"side of MNIST's images in pixels (default: {SIZE})")
    parser.add_argument("--voltages", type=Path, metavar="FILE", help="the network (default: voltages/layers_DATA.json)")
    parser.add_argument("--samples", type=whole_number(1, 10000), metavar="N", default=200,
                        help="the first N test images (default: 200)")
    parser.add_argument("--whole", type=whole_number(0, 10000), metavar="N", default=0,
                        help="the first N also with the whole network in one transient (default: 0)")
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
    data = task.data(options.size, voltages.origin.get("learning", {}).get("seed", LayeredRule.seed))
    images, labels, session = data.test_images[:options.samples], data.test_labels[:options.samples], NgspiceSession()
    name, found = f"layers_in_ngspice_{path.stem.removeprefix('layers_')}", Compared()
    used = {"voltages": path_in_project(path), "sizes": network.sizes, "samples": len(images), "whole": options.whole}
    results: dict[str, Any] = {}
    with claimed({results_path(options.figures, name): used}, [], options.force):
        try:
            results |= read_all(network, images, session, found)
            if options.whole:
                formula, layered = read_whole(network, images[:options.whole], session)
                results |= {"whole_beside_closed_form": formula.as_dict(), "layer_by_layer_beside_whole": layered.as_dict()}
        except BaseException:
            if found.spikes:
                with undisturbed():
                    results |= judged(found, network, images, labels)
                    print(f"wrote {write_results(options.figures, f'{name}_partial', session, used, results)}")
            raise
        results |= judged(found, network, images, labels)
        print(f"wrote {write_results(options.figures, name, session, used, results)}")
        results_path(options.figures, f"{name}_partial").unlink(missing_ok=True)
    report(results)


def judged(found: Compared, network: LayeredNetwork, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What came of the images that have been read so far, by both engines."""
    count = len(found.spikes)
    return {"layer_by_layer_beside_closed_form": found.as_dict(), "ngspice": scores(labels[:count], np.array(found.spikes)),
            "closed_form": scores(labels[:count], network.first_spikes(images[:count]))}


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
    if results["megabytes_at_the_end"] and results["layer_by_layer_beside_closed_form"]["images"] > EARLY:
        print(f"memory: {results['megabytes_after_1000_reads']:.0f} MB after {EARLY} reads, "
              f"{results['megabytes_at_the_end']:.0f} MB at the end")


if __name__ == "__main__":
    sys.exit(run(main))
