"""Does ngspice train layers as the closed form does? Part of a training in which every read, back-read and write is a transient.

The closed form trains a network for --after presentations of a run of rule.presentations. Then ngspice makes --stretch more.
The closed form makes the same ones twice: freely from the same start, and in step, from the states that ngspice had before each
presentation. Writes results/layers_in_step_NAME.json: presentations that the engines decide or write differently, and how far
their states differ. For MNIST (100 hidden neurons, 500 presentations) five minutes.
"""

import dataclasses
import sys
from typing import Any

import numpy as np

from datasets import Images
from memristive.cli.main import run
from memristive.cli.options import apply_settings, make_parser, whole_number
from memristive.cli.progress import print_rows, progress
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.multilayer.clipping import warn_of_layers
from memristive.multilayer.layer_netlist import LayerDesign
from memristive.multilayer.layer_network import LayeredLearning, LayeredNetwork, epoch_order, initial_network, train_layers
from memristive.multilayer.layer_rule import LayeredRule
from memristive.multilayer.ngspice_trainer import NgspiceTrainer
from memristive.spice.parameters import ParameterError
from memristive.spice.session import temporary_circuits
from memristor import MemristorParameters
from snn_circuit import NetworkParameters, NeuronParameters
from studies.layer_experiments import DEFAULTS, NAMES, describe_network, layered_dataset
from studies.measured_networks import ALL, Task

PRESENTATIONS = 60_000  # of the whole run: the doses fall linearly to zero over it


def main(arguments: list[str] | None = None) -> None:
    """Train with both engines and compare."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", choices=NAMES, default="mnist", help="dataset (default: mnist)")
    parser.add_argument("--hidden", type=whole_number(1, 10_000), nargs="+", metavar="N", default=[100],
                        help="neurons of each hidden layer (default: 100)")
    parser.add_number("--after", 0, 10**9, 20_000, "presentations before, in closed form")
    parser.add_number("--stretch", 1, 10**9, 500, "presentations in ngspice")
    parser.add_argument("--device", choices=list(ALL), metavar="NAME",
                        help="one layer of pairs of a measured device, as in studies.device_learning, on MNIST")
    options = parser.parse_args(arguments)

    # 1. Data, device, neuron, layers and rule.
    rule = dataclasses.replace(DEFAULTS.get(options.data, DEFAULTS["mnist"])[0], presentations=PRESENTATIONS)
    memristor, neuron, design, rule = apply_settings(options, memristor=MemristorParameters(), neuron=NeuronParameters(),
                                                     design=LayerDesign(), rule=rule)
    if options.device:
        network, rule = Task(options.device).prepared()
    if options.after + options.stretch > rule.presentations:
        raise ParameterError(f"--after and --stretch must add up to at most rule.presentations ({rule.presentations}), got "
                             f"{options.after} and {options.stretch}")
    dataset = layered_dataset(options.data, seed=rule.seed)
    if not options.device:
        network = initial_network(tuple(options.hidden), len(dataset.labels), dataset.training.levels, rule, design,
                                  NetworkParameters(memristor, neuron))
    record = options.results / f"layers_in_step_{options.device or dataset.name}.json"
    parameters = {**describe_network(dataset, network, rule), "after": options.after, "stretch": options.stretch}
    check_overwriting(record, parameters, options.force)

    # 2. The closed form up to the start, then both engines.
    start = advance(LayeredLearning.start(network, rule), rule, dataset.training, options.after)
    warn_of_layers(start.network, dataset.training.levels)
    results = compare(start, rule, dataset.training, options.stretch)

    # 3. Save and print.
    write_results(record, parameters, results)
    print(f"{results['presentations']} presentations: {results['answered_right']} right, {results['wrote']} wrote; in step "
          f"{len(results['in_step_differently'])} decided or written differently, free {results['free_differently']}")
    print_rows(results["rows"])
    print_rows(results["in_step_differently"])


def advance(learning: LayeredLearning, rule: LayeredRule, training: Images, until: int) -> LayeredLearning:
    """Return the training at presentation `until`, in closed form; `learning` is not changed."""
    result = dataclasses.replace(learning, history=learning.history.copy())
    steps = train_layers(result, rule, training.levels, training.labels, block=until if result.done == 0 else 1)
    while result.done < until:
        next(steps)
    return result


def compare(start: LayeredLearning, rule: LayeredRule, training: Images, stretch: int) -> dict[str, Any]:
    """Train from `start` for `stretch` presentations in ngspice, and in closed form, free and in step; return the differences.

    Cells that do not conduct get columns of their own: ngspice writes them differently (docs/closed_form.md).
    """
    circuit = dataclasses.replace(start, history=start.history.copy())
    differently: list[dict[str, Any]] = []
    in_step = np.zeros((len(start.network.states), 2))
    with temporary_circuits():
        trainer = NgspiceTrainer(start.network, rule, training.levels, training.labels)
        for done in progress(range(start.done, start.done + stretch), stretch, "training in ngspice", "image"):
            before = circuit.network
            formula = advance(circuit, rule, training, done + 1)
            trainer.present(circuit)
            if np.array_equal(circuit.history[done], formula.history[done]):
                in_step = np.maximum(in_step, apart(circuit.network, formula.network, before))
            else:
                differently.append({"presentation": done, "beyond_margin_s": beyond_margin(before, rule, training, done)})
    free, stretched = advance(start, rule, training, circuit.done), slice(start.done, circuit.done)
    free_apart, moved = (apart(circuit.network, other, start.network) for other in (free.network, start.network))
    rows = [{"layer": layer, "moved_V": most.max(), "in_step_apart_V": step[0], "in_step_apart_not_conducting_V": step[1],
             "free_apart_V": end[0], "free_apart_not_conducting_V": end[1]}
            for layer, (most, step, end) in enumerate(zip(moved, in_step, free_apart, strict=True), 1)]
    return {"presentations": stretch, "wrote": int(circuit.history[stretched, 1].sum()),
            "answered_right": int(circuit.history[stretched, 0].sum()), "in_step_differently": differently,
            "free_differently": int((circuit.history[stretched] != free.history[stretched]).any(axis=1).sum()), "rows": rows}


def apart(one: LayeredNetwork, other: LayeredNetwork, before: LayeredNetwork) -> np.ndarray:
    """Return the largest difference of states (layers x 2, V) of cells that conduct in all three networks, and of the others."""
    threshold = one.parameters.memristor.threshold_voltage
    found = []
    for a, b, was in zip(one.states, other.states, before.states, strict=True):
        conducting = np.minimum(np.minimum(a, b), was) > threshold
        found.append([np.abs(a - b).max(initial=0.0, where=cells) for cells in (conducting, ~conducting)])
    return np.array(found)


def beyond_margin(network: LayeredNetwork, rule: LayeredRule, training: Images, done: int) -> float:
    """Return by how much (s) the right neuron's lead exceeds the margin, at the presentation after `done`, in closed form."""
    image = epoch_order(rule, len(training.levels), done, done + 1)[0]
    times, label = network.first_spikes(training.levels[image][None])[0], int(training.labels[image])
    others = np.nanmin(np.append(np.delete(times, label), np.inf))
    return float(others - times[label] - rule.margin)


if __name__ == "__main__":
    sys.exit(run(main))
