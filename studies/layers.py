"""Networks of several layers, whose errors flow back through the same memristors: train one, test it (docs/layers.md).

python -m studies.layers --data mnist --hidden 200 --size 14: MNIST's grey images; --data digits: scikit-learn's 8x8 digits, one
split of 1,437 and 360 a seed; --data xor: what one layer cannot. Writes voltages/layers_DATA.json and
figures/layers_DATA_results.json. In the closed form about a minute for MNIST, seconds for the others; with --engine ngspice every
read, back-read and write is a transient: a minute for XOR, hours for digits.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from datasets import encode, load_mnist
from learning.decoding import strict_decision
from learning.engines import CLOSED_FORM, ENGINES, NGSPICE
from learning.layer_circuit import layered_network
from learning.layer_readout import READING_LAYERS, LayeredReader
from learning.layer_rule import LayeredRule
from learning.layer_teacher import LayeredTeacher
from learning.layers import LayeredLearning, LayeredNetwork, begin, train
from learning.pulses import edges
from records.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from records.results import versions, write_results
from records.voltages import Voltages, save_layers
from snn_circuit import names
from spice.session import NgspiceSession, netlist_text
from workflow.command_line import add_quantities, make_parser, progress, quantities, run, whole_number, write_netlist
from workflow.experiments import VOLTAGES
from workflow.scores import interval

XOR_IMAGES, XOR_LABELS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # images and labels to train on, images and labels to test on
# Chosen on held-out training images, XOR's by its four images.
RULES = {"mnist": LayeredRule(), "digits": LayeredRule(presentations=60_000),
         "xor": LayeredRule(presentations=240, hidden_dose=0.3, output_dose=0.6, margin=10e-6, start_weight=0.5,
                            start_weight_spread=1.0)}
HIDDEN = {"mnist": [200], "digits": [100], "xor": [16]}


def load(data: str, size: int, seed: int) -> Data:
    """Images (n x inputs, levels 0 to 1) and labels of a data set, to train on and to test on."""
    if data == "xor":
        return XOR_IMAGES, XOR_LABELS, XOR_IMAGES, XOR_LABELS
    if data == "digits":
        images, labels = load_digits(return_X_y=True)
        train_images, test_images, train_labels, test_labels = train_test_split(images / 16, labels, test_size=360,
                                                                                random_state=seed, stratify=labels)
        return train_images, train_labels, test_images, test_labels
    arrays = load_mnist()
    return (encode(arrays["x_train"], size, "grey"), arrays["y_train"].astype(int),
            encode(arrays["x_test"], size, "grey"), arrays["y_test"].astype(int))


def first_read(network: LayeredNetwork, image: np.ndarray) -> str:
    """The netlist of the whole network reading one image, for: ngspice -b."""
    design = network.design
    rows = [edges(0.0, design.window, design.rise, design.row_voltage * level) for level in image]
    circuit = layered_network(network.parameters, design, network.states, rows)
    circuit["Vpulse"].values = edges(0.0, design.window, design.rise, 1.0)
    nodes = names(f"membrane_{len(network.states) - 1}", len(network.states[-1]))
    return netlist_text(circuit, dataclasses.replace(READING_LAYERS, max_step=0.2e-6), design.window, nodes, nodes)


def teach(options: argparse.Namespace, session: NgspiceSession | None, learning: LayeredLearning, rule: LayeredRule, data: Data,
          checkpoint: Path) -> None:
    """Run the rule to its end, with progress and checkpoints, also one when it is interrupted."""
    parameters = {**rule.as_dict(), "data": options.data, "engine": options.engine}
    if options.resume:
        restored = LayeredLearning.restored(learning.network, load_checkpoint(checkpoint, parameters, learning.arrays()))
        learning.network, learning.history, learning.done = restored.network, restored.history, restored.done
    if session:
        steps = LayeredTeacher(session, learning.network, rule, data[0], data[1]).presentations(learning)
    else:
        steps = train(learning, rule, data[0], data[1])
    saved = time.perf_counter()
    try:
        with progress(range(0), rule.presentations, "learning", "image", quick=0.5) as bar:
            for done, accuracy in steps:
                bar.update(done - bar.n)
                bar.set_postfix(accuracy=f"{accuracy:.1%}", refresh=False)
                if time.perf_counter() - saved > 30:
                    save_checkpoint(checkpoint, learning.arrays(), parameters)
                    saved = time.perf_counter()
    except BaseException:
        if learning.done:
            save_checkpoint(checkpoint, learning.arrays(), parameters)
            print(f"{learning.done} presentations are saved in {checkpoint}; go on with --resume")
        raise


def spikes_of(network: LayeredNetwork, images: np.ndarray, session: NgspiceSession | None) -> np.ndarray:
    """First spike times in s of the last layer (images x classes), by ngspice if there is a session, else in closed form."""
    if session is None:
        return network.first_spikes(images)
    reader = LayeredReader(session, network)
    with progress(images, len(images), "testing", "image") as bar:
        return np.array([reader.read(network, image)[0][-1] for image in bar])


def main(arguments: list[str] | None = None) -> int:
    """Run the study with the given command-line arguments."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", choices=list(RULES), default="mnist", help="what to learn (default: mnist)")
    parser.add_argument("--hidden", type=whole_number(1, 10000), nargs="+", metavar="N", help="neurons of each hidden layer "
                        "(default: 200 for mnist, 100 for digits, 16 for xor)")
    parser.add_argument("--size", type=int, default=10, choices=range(4, 29), metavar="N",
                        help="MNIST images are shrunk to N x N pixels, 4 to 28 (default: 10)")
    parser.add_argument("--engine", choices=ENGINES, default=CLOSED_FORM, help="what trains (default: closed-form)")
    parser.add_argument("--test-engine", choices=ENGINES, default=CLOSED_FORM, help="what tests (default: closed-form)")
    parser.add_argument("--samples", type=whole_number(1, 10000), default=10000, metavar="N", help="only the first N test images")
    parser.add_argument("--voltages", metavar="FILE", help="where the voltages go (default: voltages/layers_DATA.json)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of an interrupted training")
    add_quantities(parser, LayeredRule())
    options = parser.parse_args(arguments)
    if options.size != 10 and options.data != "mnist":
        parser.error(f"--size is of MNIST's images; {options.data} has its own")
    rule = quantities(RULES[options.data], vars(options))
    data = load(options.data, options.size, rule.seed)
    network = begin(tuple(options.hidden or HIDDEN[options.data]), len(set(data[1].tolist())), data[0], rule)
    write_netlist(options.netlist, lambda: first_read(network, data[0][0]))
    session = NgspiceSession() if NGSPICE in (options.engine, options.test_engine) else None
    path = Path(options.voltages or VOLTAGES / f"layers_{options.data}.json")
    learning = LayeredLearning.begin(network, rule)
    start = time.perf_counter()
    teach(options, session if options.engine == NGSPICE else None, learning, rule, data, checkpoint_path(path))
    seconds = time.perf_counter() - start
    describe = {"dataset": options.data, "sizes": learning.network.sizes, "learning": rule.as_dict(), "engine": options.engine,
                "network": network.parameters.as_dict(), "design": network.design.as_dict()}
    made = Voltages(learning.network.states[-1], options.data, "grey", "layers", {**describe, "versions": versions(session)})
    save_layers(path, learning.network.states, made)
    checkpoint_path(path).unlink(missing_ok=True)
    print(f"trained {' - '.join(map(str, network.sizes))} neurons by {options.engine} in {seconds:.1f} s, "
          f"{rule.presentations} presentations, {int(learning.history[:, 1].sum())} wrote -> {path}")
    spikes = spikes_of(learning.network, data[2][:options.samples], session if options.test_engine == NGSPICE else None)
    right = int(sum(strict_decision(times) == label for times, label in zip(spikes, data[3], strict=False)))
    low, high = interval(right, len(spikes))
    print(f"strict accuracy {right / len(spikes):.2%} on {len(spikes)} test images by {options.test_engine} "
          f"(95 % interval {low:.2%} to {high:.2%})")
    results = {"seconds": seconds, "writes": int(learning.history[:, 1].sum()), "tested_by": options.test_engine,
               "samples": len(spikes), "strict_accuracy": right / len(spikes), "strict_interval_95": [low, high]}
    print(f"wrote {write_results(options.figures, f'layers_{options.data}', session, describe, results)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
