"""MNIST learned without labels: the part of studies/unsupervised.py that `--data mnist` runs.

The closed form learns all 60,000 training images, without labels; the training set then tells which digit each neuron stands
for, and ngspice reads the test images with the thresholds as homeostasis left them. --stretch N instead learns the first N
presentations in ngspice itself, neurons, inhibition and all, beside the closed form, and counts the same winners.
"""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from datasets import ENCODINGS, encode, load_mnist
from memristive.cli.command_line import Parser, add_quantities, draw, file_name, progress, quantities, whole_number
from memristive.cli.experiments import SIZE, VOLTAGES
from memristive.cli.kept import kept_if_stopped
from memristive.io.claims import claimed
from memristive.io.earlier import earlier_kept
from memristive.io.predictions import Partial
from memristive.io.results import holds, results_path, versions, write_results
from memristive.io.voltages import FORMAT, Voltages, checksum, save_voltages
from memristive.single_layer.scores import interval
from memristive.single_layer.spike_decoding import RESOLUTION, SILENT, TIED, strict_decision
from memristive.spice.parameters import ParameterError
from memristive.spice.session import NgspiceSession
from memristive.stdp.mnist_learning import (
    CONTENDERS,
    STRETCH,
    MnistLearning,
    Network,
    NgspiceReader,
    Stretch,
    begin,
    closed_form_decisions,
    digit_leads,
    first_spikes_of_digits,
    first_to_fire,
    name_neurons,
    presentation_order,
    stretch_by_closed_form,
    stretches,
    stretches_in_ngspice,
)
from studies import unsupervised_figures as stdp_figures

TEST_IMAGES = 10000
FOLLOWED = 8  # neurons whose weights are shown over time
PUBLISHED = (("Diehl, Cook 2015, 28x28", 100, 0.829), ("Diehl, Cook 2015, 28x28", 400, 0.870),
             ("Querlioz et al. 2013, 28x28", 300, 0.935))


def add_options(parser: Parser) -> None:
    """The options of `--data mnist`."""
    parser.add_argument("--encoding", choices=ENCODINGS, default="grey",
                        help="voltages proportional to grey levels, or pixels on or off (default: grey)")
    parser.add_argument("--samples", type=whole_number(0, TEST_IMAGES), metavar="N",
                        help="test images that ngspice reads, 0 to 10000 (default: 10000)")
    parser.add_argument("--contenders", type=whole_number(1, 2000), metavar="N",
                        help="neurons that ngspice simulates for each test image, those that the closed form puts first "
                             f"(default: {CONTENDERS})")
    parser.add_argument("--stretch", type=whole_number(1, 60000), metavar="N",
                        help="learn the first N presentations in ngspice, beside the closed form, and nothing else")
    parser.add_argument("--voltages", type=file_name, metavar="FILE", help="where states, thresholds and digits go (default: "
                                                                      "voltages/mnist_stdp_grey_100.json or the like)")
    add_quantities(parser, MnistLearning())


def stem(options: argparse.Namespace, learning: MnistLearning) -> str:
    """Stem of the files of a run."""
    return f"mnist_stdp_{options.encoding}_{learning.neurons}" + f"_seed_{learning.seed}" * (learning.seed != 1)


def main(options: argparse.Namespace) -> None:
    """Learn MNIST as the options say."""
    learning = quantities(MnistLearning(), vars(options))
    _only_what_goes_together(options)
    made_with = {"learning": learning.as_dict(), "circuit": learning.circuit().as_dict(), "encoding": options.encoding,
                 "stretch": options.stretch}
    if not options.stretch:
        made_with |= {"samples": options.samples, "contenders": options.contenders}
    path = options.voltages or VOLTAGES / f"{stem(options, learning)}.json"
    name = stem(options, learning) + "_stretch" * bool(options.stretch)
    learned = {"dataset": "mnist", "rule": "stdp", "learning": learning.as_dict(), "encoding": options.encoding, "format": FORMAT}
    voltages = [] if options.stretch else [(path, learned)]
    partial = Partial.of(options.figures, name, made_with)
    partials = [] if options.stretch else [partial.path]
    with claimed([(results_path(options.figures, name), made_with), *voltages], partials, options.force):
        images, labels = mnist_images("train", options.encoding)
        if options.stretch:
            with earlier_kept(options.figures, name, presentations):
                compare_stretch(options, learning, images, name, made_with)
            return
        partial.refuse_another(options.force)
        network, order_seed = begin(learning, images.shape[1])
        run = train(learning, network, images, presentation_order(learning, len(images), order_seed))
        digits = name_neurons(first_to_fire(learning, network, images), labels, learning.neurons)
        origin = {"learning": learning.as_dict(), "circuit": learning.circuit().as_dict(), "versions": versions(None),
                  "homeostasis": network.homeostasis, "digits": digits, "states": checksum(network.states)}
        save_voltages(path, Voltages(network.states, "mnist", options.encoding, "stdp", origin))
        print(f"learned {network.states.shape[0]} x {network.states.shape[1]} cells without labels by the closed form -> {path}")
        report(options, learning, network, digits, name, made_with, partial)
    draw(options, f"{name}_fields", stdp_figures.receptive_fields, network.states, digits, (SIZE, SIZE))
    draw(options, f"{name}_weights", stdp_figures.fields_over_time, run["states"], STRETCH, (SIZE, SIZE))
    draw(options, f"{name}_thresholds", stdp_figures.thresholds_over_time, run["thresholds"], run["winners"], STRETCH)
    draw(options, "mnist_stdp_accuracy", stdp_figures.accuracy_against_neurons, accuracies(options.figures), PUBLISHED)


def _only_what_goes_together(options: argparse.Namespace) -> None:
    """Refuse what a stretch has no use for; else fill in the defaults."""
    for name, default in (("samples", TEST_IMAGES), ("contenders", CONTENDERS), ("voltages", None)):
        if options.stretch and getattr(options, name) is not None:
            raise ParameterError(f"--{name} does not go with --stretch, which tests nothing and keeps no states")
        if getattr(options, name) is None:
            setattr(options, name, default)


def mnist_images(part: str, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """The images (n x inputs, 0 to 1) and labels of a part of MNIST, train or test."""
    arrays = load_mnist(f"x_{part}", f"y_{part}")
    return encode(arrays[f"x_{part}"], SIZE, encoding), arrays[f"y_{part}"].astype(int)


def train(learning: MnistLearning, network: Network, images: np.ndarray, order: np.ndarray) -> dict[str, np.ndarray]:
    """Learn; returns what a reader wants to see of the run: winners, and states and thresholds between stretches."""
    winners, states, thresholds = [], [network.states[:FOLLOWED].copy()], [network.homeostasis.copy()]
    bar = progress(stretches(learning, network, images, order), -(-len(order) // STRETCH), "learning", f"{STRETCH} images")
    for found in bar:
        winners.append(found)
        states.append(network.states[:FOLLOWED].copy())
        thresholds.append(network.homeostasis.copy())
        bar.set_postfix_str(f"silent {np.mean(found < 0):.1%}, neurons that fired {len(np.unique(found[found >= 0]))}")
    threshold = learning.circuit().network.neuron.threshold
    return {"winners": np.concatenate(winners), "states": np.array(states), "thresholds": threshold + np.array(thresholds)}


def report(options: argparse.Namespace, learning: MnistLearning, network: Network, digits: np.ndarray, name: str,
           made_with: dict[str, Any], partial: Partial) -> None:
    """Test on the test images; print and keep what came of it."""
    images, labels = mnist_images("test", options.encoding)
    closed = closed_form_decisions(learning, network, images, digits)
    results: dict[str, Any] = {"closed_form_accuracy": np.mean(closed == labels), "closed_form_silent": np.sum(closed == SILENT),
                               "closed_form_tied": np.sum(closed == TIED),
                               "trained_by": "closed form"}
    print(f"closed form, strict: {results['closed_form_accuracy']:.2%} of {len(labels)} test images, "
          f"{results['closed_form_silent']} silent, {results['closed_form_tied']} tied")
    session = NgspiceSession() if options.samples else None
    if session:
        reader = NgspiceReader(session, learning, network, options.contenders)
        results |= test_in_ngspice(options, reader, digits, images, labels, closed, partial)
        leads = digit_leads(learning, network, images[results["different_at"]], digits)
        results["leads_where_different_s"] = leads.tolist()
        print(f"decided as by the closed form: {results['same_as_closed_form']} of {options.samples}{_leads(results)}")
    print(f"wrote {write_results(options.figures, name, session, made_with, results)}")
    partial.drop(options.samples)


def test_in_ngspice(options: argparse.Namespace, reader: NgspiceReader, digits: np.ndarray, images: np.ndarray,
                    labels: np.ndarray, closed: np.ndarray, partial: Partial) -> dict[str, Any]:
    """Read the test images in ngspice; strict decisions. A run that ends early keeps what is finished in `partial`."""
    spikes: list[np.ndarray] = []
    with kept_if_stopped(lambda: partial.keep(range(len(spikes)), labels[:len(spikes)], np.array(spikes), None, RESOLUTION)):
        read_in_ngspice(reader, digits, images[:options.samples], labels, spikes)
    found, labels = np.array([strict_decision(times) for times in spikes]), labels[:options.samples]
    right = int(np.sum(found == labels))
    low, high = interval(right, len(found))
    different = np.flatnonzero(found != closed[:options.samples])
    print(f"ngspice, strict: {right / len(found):.2%} of {len(found)} test images (95 % interval {low:.2%} to {high:.2%}), "
          f"{np.sum(found == SILENT)} silent, {np.sum(found == TIED)} tied")
    return {"strict_accuracy": right / len(found), "strict_interval_95": [low, high], "silent": np.sum(found == SILENT),
            "tied": np.sum(found == TIED), "same_as_closed_form": len(found) - len(different), "different_at": different,
            "tested_by": "ngspice"}


def read_in_ngspice(reader: NgspiceReader, digits: np.ndarray, images: np.ndarray, labels: np.ndarray,
                    found: list[np.ndarray]) -> None:
    """Add to `found`, image by image, when the first neuron of each digit fires."""
    bar, right = progress(images, len(images), "reading in ngspice", "image"), 0
    for image, label in zip(bar, labels, strict=False):
        chosen, spikes = reader.spikes(image)
        found.append(first_spikes_of_digits(spikes, digits[chosen]))
        right += strict_decision(found[-1]) == label
        bar.set_postfix_str(f"accuracy {right / len(found):.2%}", refresh=False)


def accuracies(folder: Path) -> list[stdp_figures.Accuracy]:
    """Every run whose results lie in `folder`; ngspice's accuracy only where it read all test images."""
    found = []
    for path in sorted(Path(folder).glob("mnist_stdp_*_results.json")):
        # a stretch, or what no run of this study wrote
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            found.append(_accuracy(json.loads(path.read_text(encoding="utf-8"))))
    return found


def _accuracy(results: dict[str, Any]) -> stdp_figures.Accuracy:
    """What a run came to. Raises ValueError, KeyError or TypeError for anything else."""
    run, accuracy = results["parameters"], results["closed_form_accuracy"]
    neurons = run["learning"]["neurons"]
    by_ngspice = results["strict_accuracy"] if run["samples"] == TEST_IMAGES else None
    shares = {"closed_form_accuracy": accuracy} | ({} if by_ngspice is None else {"strict_accuracy": by_ngspice})
    wanted = {"encoding": ENCODINGS, "neurons": int, **dict.fromkeys(shares, float)}
    if not holds({"encoding": run["encoding"], "neurons": neurons, **shares}, wanted) or neurons < 1:
        raise ValueError
    return stdp_figures.Accuracy(run["encoding"], neurons, accuracy, by_ngspice)


def presentations(results: dict[str, Any]) -> float:
    """How much a stretch has compared."""
    return len(results["winners"])


def compare_stretch(options: argparse.Namespace, learning: MnistLearning, images: np.ndarray, name: str,
                    made_with: dict[str, Any]) -> None:
    """Learn the first presentations in ngspice and by the closed form, from the same start; print and keep the comparison.

    Results are written after every transient, so that a run cut short leaves what it has found.
    """
    circuit, order_seed = begin(learning, images.shape[1])
    order = presentation_order(learning, len(images), order_seed)[:options.stretch]
    comparison, session, done = Comparison(learning, circuit.copy()), NgspiceSession(), 0
    parts = stretches_in_ngspice(session, learning, circuit, images[order])
    with progress(parts, len(order), "learning in ngspice", "image") as bar:
        for winners in parts:
            comparison.add(images[order[done:done + len(winners)]], winners, circuit)
            done += len(winners)
            results = comparison.results()
            path = write_results(options.figures, name, session, made_with, results)
            bar.update(len(winners))
            bar.set_postfix_str(f"same winners {results['same_winners']} of {done}")
    print(f"{learning.neurons} neurons, {done} presentations in ngspice and by the closed form: the same winner in "
          f"{results['same_winners']}; states differ by {results['rms_deviation_V'] * 1e3:.2g} mV (root of mean square), at most "
          f"{results['largest_deviation_V'] * 1e3:.2g} mV")
    apart = results["in_step"]["largest_deviation_V"]
    print(f"the closed form anew from ngspice's states before each transient: the same winner in "
          f"{results['in_step']['same_winners']}{_leads(results['in_step'])}; "
          + ("no transient of which all were" if apart is None else
             f"states at most {apart * 1e3:.2g} mV apart where all winners were the same"))
    print(f"wrote {path}")


def _leads(results: dict[str, Any]) -> str:
    """By how much led whom ngspice saw otherwise, in words."""
    leads = results["leads_where_different_s"]
    return f" (the others led by {', '.join(f'{lead * 1e6:.2g}' for lead in leads)} us)" * bool(leads)


class Comparison:
    """ngspice's presentations beside the closed form: free from the same start, and in step, anew from ngspice's states."""

    def __init__(self, learning: MnistLearning, start: Network) -> None:
        self._learning, self._free, self._before = learning, start.copy(), start.copy()
        self._found: list[np.ndarray] = []
        self._foretold: list[Stretch] = []
        self._in_step: list[Stretch] = []
        self._apart: list[dict[str, float]] = []  # after each transient of which all winners were the same
        self._circuit = start

    def add(self, images: np.ndarray, winners: np.ndarray, circuit: Network) -> None:
        """Take the `winners` of one transient that presented `images` and left the network `circuit`."""
        self._found.append(winners)
        self._foretold.append(stretch_by_closed_form(self._learning, self._free, images))
        self._in_step.append(stretch_by_closed_form(self._learning, self._before, images))
        if np.array_equal(self._in_step[-1].winners, winners):
            self._apart.append(self._before.apart(circuit))
        self._circuit, self._before = circuit, circuit.copy()

    def results(self) -> dict[str, Any]:
        """What has been found so far."""
        found = np.concatenate(self._found)
        most = max(self._apart, key=lambda apart: apart["largest_deviation_V"], default={"largest_deviation_V": None})
        return {"presentations": len(found), **self._compared(found, self._foretold), **self._free.apart(self._circuit),
                "in_step": {**self._compared(found, self._in_step), **most}, "winners": found}

    @staticmethod
    def _compared(found: np.ndarray, stretches: list[Stretch]) -> dict[str, Any]:
        foretold, leads = (np.concatenate(parts) for parts in zip(*stretches, strict=True))
        different = np.flatnonzero(found != foretold)
        return {"same_winners": len(found) - len(different), "different_at": different,
                "leads_where_different_s": leads[different].tolist()}
