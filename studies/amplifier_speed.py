"""Evidence for docs/costs.md: the least bandwidth of op-amps at which decisions stay.

Bandwidth of the op-amps: how much faster may a network be read, and what does it then cost?

The op-amps of the circuit have no pole. Here each has one, so that its gain falls to 1 at its
gain-bandwidth product GBW. A column's cells load the input of its summing stage, so this stage is
slower than its op-amp by the factor 1 + Rf G, where G is the conductance of all cells of the
column. To first order each stage delays the drive of its membrane by 1 / (2 pi GBW) times such a
factor, its noise gain. A delay that all neurons share changes no decision. Delays differ because
columns differ in G, and because columns whose currents are subtracted pass another number of
stages.

The study reads frozen networks with ideal op-amps and with poles. It counts the images whose winner
changes, for several speeds and bandwidths, in closed form (`delayed_spikes`);
tests/studies/test_amplifier_speed.py compares its delays with ngspice. Then it searches, at each
speed, for the least bandwidth at which at most 0.5 % of the decisions change, and computes the
energy of an inference with the bias currents that this bandwidth needs (docs/costs.md). Loop gains
that are finite cost accuracy, too: a second table has the accuracy over the loop gain.

Writes results/costs/amplifier_speed.json and figures/amplifier_speed.png in ten minutes.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from memristive.accounting import costs, dissipation
from memristive.accounting.costs import Accounts
from memristive.cli.script import Record, make_parser, print_rows, run
from memristive.closed_form import neuron
from memristive.datasets import Images, mnist
from memristive.io.voltages import load
from memristive.ledger import Technology, mean
from memristive.network.layer import Layer
from memristive.network.networks import Network
from memristive.plotting import COLOURS, WIDTH
from memristive.scores.decisions import RESOLUTION, decide
from memristor import read_current
from snn_circuit import Cells

NETWORKS = {
    "mnist_closed_form_grey": "MNIST, one layer",
    "layers_mnist": "MNIST, 200 hidden",
    "device_epiram_1_late": "EpiRAM, one layer, late",
}
SPEEDS = (1, 2, 5, 10, 20, 50, 100)
BANDWIDTHS = tuple((10 ** np.linspace(6, 9.5, 15)).tolist())  # Hz, over the speed
GAINS = (3.0, 10.0, 30.0, 100.0, 300.0)  # of the loop of the first layer's summing stages
CHANGED = 0.005  # share of the decisions that may change
LEDGERS = 20  # images of each ledger


def main(arguments: list[str] | None = None) -> None:
    """Read, save, print, plot."""
    options = make_parser(__doc__, "costs", parameters=False).parse_args(arguments)
    files = [Path(f"voltages/{name}.json") for name in NETWORKS]
    images = mnist(encoding="grey").test
    record = Record(options, "amplifier_speed", {"images": len(images.labels)}, files)
    results: dict[str, Any] = {"decisions": [], "energy": [], "gain": []}
    for name in NETWORKS:
        network, of = load(f"voltages/{name}.json"), {"network": name}
        rows = list(decisions(network, images))
        results["decisions"] += [of | row for row in rows]
        results["energy"] += [of | row for row in energies(network, images, rows)]
        results["gain"] += [of | row for row in gains(network, images)]
    record.write(results, ngspice=False)
    for kind in ("energy", "gain"):
        print_rows(results[kind])
    record.plot(figure(results))


def delayed_spikes(
    of: Layer, states: np.ndarray, volts: np.ndarray, steps: np.ndarray, bandwidths: np.ndarray
) -> np.ndarray:
    """Return the first spikes in s (bandwidths x neurons; nan: none in the window) of a layer whose
    op-amps have one pole each.

    A stage with the time constant T multiplies the part of a membrane that decays by
    1 / (1 - T / tau), as a delay of about T would. This is exact once the stage itself has settled.

    Parameters
    ----------
    of : Layer
        Its stages do not clip.
    states : array, columns x rows, V
    volts : array, rows
        Voltages to which the rows step.
    steps : array, rows, s
        Times of the steps; nan: never.
    bandwidths : array, Hz
    """
    p, circuits = of.neuron, of.circuits
    stages, tau, count = circuits.stages, np.asarray(circuits.time_constant), of.neurons
    loads = of.stage_loads(states)
    loads[:count] += 1 / of.bias_resistance
    up, down = _currents(of, states, volts)
    up *= neuron.column_resistance(stages, loads[:count])[:, None]
    factors = _lag(p, loads[:count], bandwidths, tau) * _lag(p, None, bandwidths, tau)
    others = np.ones_like(factors)
    if of.pairs or of.reference:
        down *= neuron.negative_resistance(stages, loads[count:])[:, None]
        others = _lag(p, loads[count:], bandwidths, tau) * _lag(p, None, bandwidths, tau)
        others *= _lag(p, None, bandwidths, tau, 2)
    order = np.argsort(steps)[: np.count_nonzero(~np.isnan(steps))]
    at = steps[order]
    # in volts of the membrane: where it settles after each step, and what then decays
    settled = stages.membrane_gain * np.cumsum((up - down)[:, order], axis=1)
    decaying = stages.membrane_gain * (
        factors[:, :, None] * np.cumsum(up[:, order] * np.exp(at / tau), axis=1)
        - others[:, :, None] * np.cumsum((down * np.ones_like(up))[:, order] * np.exp(at / tau), 1)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        times = tau * np.log(decaying / (settled - circuits.threshold))
    ends = np.append(at[1:], of.window)
    times[~((times <= ends) & (settled > circuits.threshold))] = np.inf
    # a step may bring a membrane over its threshold at once, because steps are late
    times = np.maximum(times, at).min(axis=2)
    return np.where(np.isinf(times), np.nan, times)


def _currents(of: Layer, states: np.ndarray, volts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the currents in A of each row into the positive and into the subtracted columns
    (neurons x rows, or 1 x rows for a reference column).
    """
    cells = Cells.of(of.memristor, of.devices.cells)
    amperes = read_current(cells, of.with_reference(states), volts)
    if of.pairs:
        up, down = amperes.reshape(2, of.pairs, of.neurons, -1).sum(axis=1)
    else:
        up, down = amperes[: of.neurons], amperes[of.neurons :]
        if not of.reference:
            down = np.zeros((1, amperes.shape[1]))
    up = up.copy()
    if of.bias is not None:
        up[:, -1] += volts[-1] / of.bias_resistance
    return up, down.copy()


def _lag(
    p: Any, loads: np.ndarray | None, bandwidths: np.ndarray, tau: np.ndarray, noise_gain: float = 3
) -> np.ndarray:
    """Return 1 / (1 - T / tau) of a stage (bandwidths x 1 or x columns): of a summing stage with
    `loads` in S at its input, otherwise of an inverting stage with this noise gain.
    """
    drop, noise = p.amplifier_output_resistance, np.array([noise_gain])
    if loads is not None:
        behind = p.feedback_resistance + 1 / loads
        noise = (1 + p.feedback_resistance * loads) * (
            1 + drop * (1 / behind + 1 / p.stage_resistance)
        )
    return 1 / (1 - noise / (2 * math.pi * bandwidths[:, None] * tau))


def forward(network: Network, image: np.ndarray, bandwidths: np.ndarray) -> list[np.ndarray]:
    """Return the first spikes in s (bandwidths x neurons) of each layer for an `image` (inputs)."""
    of, volts = network.layers[0], network.read_levels(image[None])[0]
    start = neuron.start_delay(of.rise, of.neuron.time_constant)
    steps, volts = np.full(of.rows, start), of.row_voltage * volts
    found = [delayed_spikes(of, network.states[0], volts, steps, bandwidths)]
    for of, states in zip(network.layers[1:], network.states[1:], strict=True):
        volts = np.full(of.rows, of.row_voltage)
        parts = [
            delayed_spikes(of, states, volts, np.append(steps, start), bandwidths[k : k + 1])
            for k, steps in enumerate(found[-1])
        ]
        found.append(np.concatenate(parts))
    return found


def decisions(network: Network, images: Images) -> Iterator[dict[str, Any]]:
    """Yield for each speed and bandwidth the share of changed decisions and the strict accuracy.

    A network that is faster by a factor, with op-amps that are faster by the same factor, fires
    earlier by this factor. So spikes are computed for bandwidths over the speed, once.
    """
    ratios = np.array([*BANDWIDTHS, 1e15])
    spikes = np.array([forward(network, image, ratios)[-1] for image in images.levels])
    for speed in SPEEDS:
        ideal = decide(spikes[:, -1] / speed, RESOLUTION)[0]
        for k, ratio in enumerate(ratios.tolist()):
            found = decide(spikes[:, k] / speed, RESOLUTION)[0]
            yield {
                "speed": speed,
                "bandwidth": ratio * speed if k < len(BANDWIDTHS) else None,
                "changed": float(np.mean(found != ideal)),
                "strict_accuracy": float(np.mean(found == images.labels)),
            }


def gains(network: Network, images: Images) -> Iterator[dict[str, Any]]:
    """Yield the strict accuracy in closed form for each loop gain of the first layer."""
    of, parameters = network.layers[0], network.parameters
    noise = 1 + of.neuron.feedback_resistance * of.stage_loads(network.states[0]).max()
    for gain in (*GAINS, None):
        changed = network
        if gain:
            own = max(100.0, gain * float(noise))  # the least that `quantity` allows
            slower = dataclasses.replace(parameters.neuron, amplifier_gain=own)
            changed = dataclasses.replace(
                network, parameters=dataclasses.replace(parameters, neuron=slower)
            )
        found = decide(changed.first_spikes(images.levels), RESOLUTION)[0]
        yield {"loop_gain": gain, "strict_accuracy": float(np.mean(found == images.labels))}


def least_bandwidth(rows: Sequence[dict[str, Any]]) -> float:
    """Return the bandwidth in Hz at which the share `CHANGED` of the decisions change, between two
    of the `rows` of `decisions`; the lowest of the rows if fewer change there.
    """
    changed = np.array([max(row["changed"], 1e-6) for row in rows])
    k = int(np.argmax(changed <= CHANGED))
    around = slice(max(k - 1, 0), k + 1)
    bandwidths = np.log([row["bandwidth"] for row in rows])
    return float(np.exp(np.interp(-np.log(CHANGED), -np.log(changed[around]), bandwidths[around])))


def energies(
    network: Network, images: Images, rows: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield for each speed the least bandwidth at which few decisions change, and the energy of an
    inference with op-amps of this bandwidth.
    """
    device = dissipation.device_of(network) or None
    for speed in SPEEDS:
        own = [row for row in rows if row["speed"] == speed]
        bandwidth = least_bandwidth(own[:-1])
        accounts = Accounts(Technology(amplifier_bandwidth=bandwidth), device)
        quick = network.faster(speed)
        found = [costs.inference(quick, image, accounts) for image in images.levels[:LEDGERS]]
        yield {
            "speed": speed,
            "bandwidth": bandwidth,
            "strict_accuracy": own[-1]["strict_accuracy"],
            "inference_J": mean([ledger for ledger, _ in found]).sum(),
            "read_s": float(np.mean([times["read"] for _, times in found])),
        }


def figure(results: dict[str, Any]) -> Figure:
    """Draw changed decisions over the bandwidth, and the energy over the speed."""
    drawn, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    poles, energy = (pd.DataFrame(results[kind]) for kind in ("decisions", "energy"))
    for (name, title), colour in zip(NETWORKS.items(), COLOURS, strict=False):
        for speed, style in ((1, "-"), (20, "--")):
            of = poles[(poles.network == name) & (poles.speed == speed)].dropna()
            changed, label = (100 * of.changed).clip(lower=1e-2), f"{title}, speed {speed}"
            left.loglog(of.bandwidth, changed, style, color=colour, label=label)
        of = energy[energy.network == name]
        right.loglog(of.speed, of.inference_J, "o-", color=colour, label=title)
    left.axhline(100 * CHANGED, color="0.5", linewidth=0.8)
    left.set(xlabel="gain-bandwidth product of the op-amps (Hz)", ylabel="changed decisions (%)")
    right.set(xlabel="speed", ylabel="energy of an inference (J)")
    left.legend(fontsize=6)
    right.legend(fontsize=6)
    return drawn


if __name__ == "__main__":
    run(main)
