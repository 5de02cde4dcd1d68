"""Does ngspice agree, with the SPICE model itself in each cell? One layer of pairs in a passive array (V/2), MNIST's grey 10x10.

The closed form knows a model by its measured curves only. Here ngspice simulates the subcircuit in all 2,020 cells. It reads test
images with a layer that the closed form has trained, and decisions are compared. Then it reads and writes training images with
whole pulses. Every presentation starts in both engines from the states that ngspice has reached, and the writes of all cells are
compared, half-selected ones included. Writes results/subcircuit_layer.json; 4 to 20
minutes a model on one core. Ctrl-C saves a checkpoint for --resume.
"""

import dataclasses
import sys
from typing import Any

import numpy as np

from memristive.cli.main import run
from memristive.cli.options import add_jobs, add_resume, make_parser, table
from memristive.cli.parallel import run_resumable
from memristive.devices.characterise import Characterisation, characterise
from memristive.devices.measured_device import emulator
from memristive.devices.spice_model import SpiceModel, load_model
from memristive.io.files import check_overwriting
from memristive.io.results import write_results
from memristive.learning.layered_training import epoch_order, write_generator
from memristive.learning.rule import LayeredRule, first_wrong_neuron, output_errors
from memristive.network import kernel
from memristive.network.layers import KernelArrays, LayeredNetwork, no_counts, pulse_values, with_bias
from memristive.network.scores import decide
from memristive.network.spike_decoding import RESOLUTION
from memristive.network.subcircuit_layer import Write, model_states, read_subcircuits, write_half_selected
from memristive.network.two_terminal import HALF, DeviceArray
from studies.half_select import MODELS, USUAL, Task, data, prepared, trained

STARTED = 1000  # presentations in closed form before those in ngspice: equal states would tie
PULSED = 1e-2  # dose of the presentations in ngspice, share of the range: whole pulses for most of the driven rows


def main(arguments: list[str] | None = None) -> None:
    """Compare the engines for each model, save and print."""
    parser = add_jobs(add_resume(make_parser(__doc__, parameters=False)))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="NAME",
                        help="default: all five")
    parser.add_number("--images", 1, 10_000, 1000, "test images")
    parser.add_number("--presentations", 1, 10_000, 100, "training images")
    options = parser.parse_args(arguments)
    record = options.results / "subcircuit_layer.json"
    parameters = {"models": options.models, "images": options.images, "presentations": options.presentations}
    check_overwriting(record, parameters, options.force)
    tasks = [(name, options.images, options.presentations) for name in options.models]
    rows = run_resumable(compared, tasks, [options.images + options.presentations] * len(tasks), options, record, parameters)
    write_results(record, parameters, {"rows": rows})
    print(table(("model", "same decisions", "accuracy ngspice, closed form", "spikes (ns)", "same errors", "written",
                 "write difference: largest, rms (steps)"), [
        (row["model"], f"{row['same_decisions']} of {row['images']}", f"{row['ngspice_accuracy']:.2%}, "
         f"{row['closed_form_accuracy']:.2%}", f"{1e9 * row['spike_difference_s']:.0f}",
         f"{row['same_errors']} of {row['presentations']}", row["written"],
         f"{row['largest_difference_steps']:.2g}, {row['rms_difference_steps']:.1g}") for row in rows]))


def compared(task: tuple[str, int, int]) -> dict[str, Any]:
    """Return the measured differences between the engines for one model, in reads and writes. Runs in a worker."""
    name, images, presentations = task
    model = load_model(name)
    found = characterise(model)
    return {"model": name, **compared_reads(model, found, images), **compared_writes(model, found, presentations)}


def with_model_states(network: LayeredNetwork, found: Characterisation) -> tuple[LayeredNetwork, np.ndarray]:
    """Return the network with states cut to the model's range, and the states of the model that have the same conductances."""
    emulated = emulator(found.device)
    (states,) = model_states(network, found)
    return dataclasses.replace(network, states=(emulated.state(found.map.share(states)),)), states


def compared_reads(model: SpiceModel, found: Characterisation, count: int) -> dict[str, Any]:
    """Read test images with a trained layer in both engines; return the differences."""
    network, states = with_model_states(trained(Task(found.device, HALF, USUAL)), found)
    images, labels = data().test.levels[:count], data().test.labels[:count]
    exact, spikes = network.first_spikes(images), read_subcircuits(network, model, states, images)
    ours, theirs = decide(exact, RESOLUTION)[0], decide(spikes, RESOLUTION)[0]
    return {"images": count, "same_decisions": int(np.sum(ours == theirs)),
            "ngspice_accuracy": float(np.mean(theirs == labels)), "closed_form_accuracy": float(np.mean(ours == labels)),
            "spike_difference_s": float(np.nanmax(np.abs(spikes - exact))),
            "silent_in_one_engine": int(np.sum(np.isnan(spikes) != np.isnan(exact)))}


def compared_writes(model: SpiceModel, found: Characterisation, presentations: int) -> dict[str, Any]:
    """Read and write training images in both engines, each presentation from the same states; return the differences."""
    emulated, training = emulator(found.device), data().training
    network, states = with_model_states(trained(Task(found.device, HALF, USUAL, STARTED)), found)
    rule = prepared(Task(found.device, HALF, PULSED, presentations))[1]
    rng, steps = write_generator(rule, 0), np.mean([found.device.up, found.device.down])
    same, differences = 0, []
    for k, index in enumerate(epoch_order(rule, len(training.labels), 0, presentations)):
        image, label = training.levels[index], int(training.labels[index])
        spikes = read_subcircuits(network, model, states, image[None])[0]
        wrong = first_wrong_neuron(spikes, label, rule.margin)
        same += wrong == first_wrong_neuron(network.first_spikes(image[None])[0], label, rule.margin)
        if wrong is None and not np.isnan(spikes[label]):
            continue
        writes = drawn_writes(network, rule, k, image, output_errors(len(spikes), label, -1 if wrong is None else wrong), rng)
        states = write_half_selected(DeviceArray(model, found.device, HALF), states, writes)
        written = found.map.share(states)
        differences.append(written - emulated.share(written_in_closed_form(network, writes)))
        network = dataclasses.replace(network, states=(emulated.state(written),))
    apart = np.array(differences) / steps
    return {"presentations": presentations, "same_errors": same, "written": len(differences), "step_share_of_range": steps,
            "largest_difference_steps": np.abs(apart).max(initial=0.0), "rms_difference_steps": np.sqrt(np.mean(apart**2))}


def drawn_writes(network: LayeredNetwork, rule: LayeredRule, done: int, image: np.ndarray, errors: np.ndarray,
                 rng: np.random.Generator) -> list[Write]:
    """Return the writes of a presentation in whole pulses, with fractions rounded at random.

    The two columns of a pair are written in opposite directions.
    """
    assert network.pulses
    wanted = with_bias(image[None])[0] * rule.output_dose * rule.final_dose ** (done / rule.presentations) / network.pulses.step
    return [Write(polarity * len(errors) + int(j), errors[j] * (1 - 2 * polarity) > 0, np.floor(wanted + rng.random(len(wanted))))
            for j in np.flatnonzero(errors) for polarity in (0, 1)]


def written_in_closed_form(network: LayeredNetwork, writes: list[Write]) -> np.ndarray:
    """Return the network's states in V after the writes."""
    assert network.pulses
    arrays, pulses, counts = KernelArrays(network), pulse_values(network.pulses), no_counts(network)
    for column, up, numbers in writes:
        kernel.write_pulses(arrays.layers[0], arrays.pulse, pulses, arrays.states[0], column, numbers,
                            pulses.step if up else -pulses.step, counts, 0, arrays.work.loads[0], np.random.default_rng())
    return arrays.trained(network).states[0]


if __name__ == "__main__":
    from studies import subcircuit_layer  # workers import what they run

    sys.exit(run(subcircuit_layer.main))
