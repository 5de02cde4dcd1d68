"""One error of a network of layers, looked at closely in ngspice: what it reads back, what its read and its writes cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memristive.multilayer.layer_energy import back_read_energy, layer_write_energy, layers_read_energy
from memristive.multilayer.layer_network import LayeredNetwork, start_delay
from memristive.multilayer.layer_ngspice import BackReader, LayeredReader
from memristive.multilayer.layer_rule import LayeredRule, errors, overlaps
from memristive.single_layer.energy import UNCOUNTED
from memristive.single_layer.error_rule import offender
from memristive.spice.session import NgspiceSession
from memristor import state_rate
from studies.layer_experiments import LayeredData

SEARCHED = 2000  # training images among which an error is looked for


@dataclass(frozen=True)
class Example:
    """An image (inputs, levels 0 to 1), its class, and the neuron that fired too early."""

    image: np.ndarray
    label: int
    wrong: int
    written: bool = True  # False: the rule would not write, there is no image for which it would

    def __str__(self) -> str:
        """What is read back, in words."""
        fired = "was too early" if self.written else "comes next (no image is left to write for)"
        return f"Back-read for a {self.label}, where the neuron of {self.wrong} {fired}"


def an_error(network: LayeredNetwork, rule: LayeredRule, data: LayeredData) -> Example:
    """The first training image that the rule would write for; where there is none, the first with its runner-up."""
    images, labels = data.images[:SEARCHED], data.labels[:SEARCHED]
    times = network.first_spikes(images)
    for image, label, spikes in zip(images, labels.tolist(), times, strict=True):
        wrong = offender(spikes, label, rule.margin)
        if wrong is not None and not np.isnan(spikes[label]):
            return Example(image, label, wrong)
    label = int(labels[0])
    others = [j for j in np.argsort(times[0]).tolist() if j != label]
    return Example(images[0], label, others[0], written=False)


def read_back(session: NgspiceSession, network: LayeredNetwork, example: Example) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the last layer's rows show (V) by ngspice and in closed form, and where the membranes below settle (thresholds)."""
    last = len(network.states) - 1
    found = errors(network.sizes[-1], example.label, example.wrong)
    _, settled = LayeredReader(session, network).read(network, example.image, label=example.label)
    simulated = BackReader(session, network, last).read(network.states[last], found)
    return simulated, network.read_back(last, found), settled[last - 1]


def energies(session: NgspiceSession, network: LayeredNetwork, rule: LayeredRule, example: Example) -> dict[str, float]:
    """Energies in J of reading the example, layer by layer, and of a first write of each kind; and how long in s the read lasts.

    The outputs' writes are those of the example's two columns; a hidden column's that of a neuron whose row reads back 1 V.
    """
    last, tau = len(network.states) - 1, network.parameters.neuron.time_constant
    rate = float(state_rate(network.parameters.memristor, network.design.row_voltage))
    layers, seconds = layers_read_energy(session, network, example.image)
    found = {f"read_layer_{k}": energy for k, energy in enumerate(layers)} | {"read_seconds": seconds}
    levels = np.append(example.image, 1.0)
    times = [layer[0] for layer in network.forward(example.image[None])]
    for name, column, sign in (("write_right_output", example.label, 1), ("write_wrong_output", example.wrong, -1)):
        high, volts = np.ones(len(levels)), levels
        if last:
            rows = np.append(times[last - 1], start_delay(network.design.rise, tau))
            high = overlaps(rows, times[last][column], network.design.window) / tau
            volts = np.ones(len(high))
        found[name] = layer_write_energy(session, network, last, volts, high, sign * rule.output_dose / rate)
    if last:
        found["back_read"] = back_read_energy(session, network, last, errors(network.sizes[-1], example.label, example.wrong))
        found["write_hidden"] = layer_write_energy(session, network, 0, levels, np.ones(len(levels)), rule.hidden_dose / rate)
    return found


def print_energies(found: Mapping[str, float]) -> None:
    """Print what `energies` measured, in uJ."""
    reads = [found[name] * 1e6 for name in found if name.startswith("read_layer")]
    layers = " + ".join(f"{energy:.3g}" for energy in reads)
    print(f"energy of a read of {found['read_seconds'] * 1e6:.1f} us: {layers} uJ, layer by layer; first writes: right output "
          f"{found['write_right_output'] * 1e6:.3g} uJ, wrong output {found['write_wrong_output'] * 1e6:.3g} uJ")
    if "back_read" in found:
        print(f"a hidden column, read back at 1 V: {found['write_hidden'] * 1e6:.3g} uJ; a back-read: "
              f"{found['back_read'] * 1e6:.2g} uJ")
    print(f"(op-amps and transconductances are ideal and not counted{UNCOUNTED}: those of the wrong output)")
