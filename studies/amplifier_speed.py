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
changes, for several speeds and bandwidths, in closed form (`delayed_spikes`). ngspice, with a
capacitor in each op-amp, reads a few images of each layer for comparison. Then it searches, at each
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
from matplotlib.figure import Figure

from memristive.accounting import costs, dissipation
from memristive.accounting.costs import Accounts
from memristive.cli.script import Record, make_parser, run, table
from memristive.closed_form import neuron
from memristive.datasets import Images, mnist
from memristive.io.voltages import load
from memristive.ledger import Technology, mean
from memristive.network.layer import Layer, crossbar_circuit
from memristive.network.networks import Network
from memristive.plotting import COLOURS, WIDTH
from memristive.scores.decisions import RESOLUTION, decide, first_spikes
from memristive.spice.session import Solver, run_once
from memristor import read_current
from snn_circuit import Cells, OpAmp, names, state_changes

NETWORKS = {
    "mnist_closed_form_grey": "MNIST, one layer",
    "layers_mnist": "MNIST, 200 hidden",
    "device_epiram_1_late": "EpiRAM, one layer, late",
}
SPEEDS = (1, 2, 5, 10, 20, 50, 100)
BANDWIDTHS = tuple((10 ** np.linspace(6, 9.5, 15)).tolist())  # Hz, over the speed
GAINS = (3.0, 10.0, 30.0, 100.0, 300.0)  # of the loop of the first layer's summing stages
CHANGED = 0.005  # share of the decisions that may change
IN_NGSPICE = (1e6, 1e7, 1e8)  # Hz
COLUMNS = 8  # of a hidden layer in ngspice
LEDGERS = 20  # images of each ledger
STEPS, LONGEST = 2000, 3  # of a transient in each time constant of the membrane; its end in them


def main(arguments: list[str] | None = None) -> None:
    """Read, compare, save, print, plot."""
    parser = make_parser(__doc__, "costs", parameters=False)
    parser.add_number("--images", 1, 10_000, 10_000, "test images in closed form")
    parser.add_number("--spice-images", 0, 100, 3, "images of each layer in ngspice")
    options = parser.parse_args(arguments)
    record = Record(
        options,
        "amplifier_speed",
        {"images": options.images, "spice_images": options.spice_images},
        [Path(f"voltages/{name}.json") for name in NETWORKS],
    )
    images = mnist(encoding="grey").test.first(options.images)
    results: dict[str, Any] = {"decisions": [], "spice": [], "energy": [], "gain": []}
    for name in NETWORKS:
        network = load(f"voltages/{name}.json")
        for kind, rows in (
            ("decisions", decisions(network, images)),
            ("gain", gains(network, images)),
        ):
            results[kind] += [{"network": name} | row for row in rows]
        own = [row for row in results["decisions"] if row["network"] == name]
        results["energy"] += [{"network": name} | row for row in energies(network, images, own)]
        results["spice"] += [
            {"network": name} | row for row in in_ngspice(network, images, options.spice_images)
        ]
    record.write(results, ngspice=bool(options.spice_images))
    print(described(results))
    record.plot(figure(results))


# Closed form


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
    of, level = network.layers[0], network.read_levels(image[None])[0]
    start = neuron.start_delay(of.rise, of.neuron.time_constant)
    found = [
        delayed_spikes(
            of,
            network.states[0],
            of.row_voltage * level,
            np.full(of.rows, start),
            bandwidths,
        )
    ]
    for of, states in zip(network.layers[1:], network.states[1:], strict=True):
        steps = np.column_stack([found[-1], np.full(len(bandwidths), start)])
        volts = np.full(of.rows, of.row_voltage)
        found.append(
            np.concatenate(
                [
                    delayed_spikes(of, states, volts, one, bandwidths[k : k + 1])
                    for k, one in enumerate(steps)
                ]
            )
        )
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
    of = network.layers[0]
    noise = 1 + of.neuron.feedback_resistance * of.stage_loads(network.states[0]).max()
    for gain in (*GAINS, None):
        changed = network
        if gain:
            parameters = dataclasses.replace(
                network.parameters,
                neuron=dataclasses.replace(
                    network.parameters.neuron, amplifier_gain=max(100.0, gain * float(noise))
                ),
            )
            changed = dataclasses.replace(network, parameters=parameters)
        found = decide(changed.first_spikes(images.levels), RESOLUTION)[0]
        yield {"loop_gain": gain, "strict_accuracy": float(np.mean(found == images.labels))}


# Energy


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
    inference with op-amps of this bandwidth, of one stage (gain 1 before the output) or of two.
    """
    device = dissipation.device_of(network)
    for speed in SPEEDS:
        own = [row for row in rows if row["speed"] == speed]
        bandwidth = least_bandwidth(own[:-1])
        row = {
            "speed": speed,
            "bandwidth": bandwidth,
            "strict_accuracy": own[-1]["strict_accuracy"],
        }
        technology = Technology(amplifier_bandwidth=bandwidth)
        for stages, gain in ((2, technology.first_stage_gain), (1, 1.0)):
            accounts = Accounts(
                dataclasses.replace(technology, first_stage_gain=gain), device or None
            )
            quick = network.faster(speed)
            found = [costs.inference(quick, image, accounts) for image in images.levels[:LEDGERS]]
            ledger = mean([ledger for ledger, _ in found])
            amperes = sum(accounts.amplifiers(quick, k)[1] for k in range(len(quick.layers)))
            row |= {
                f"inference_J_{stages}": ledger.sum(),
                f"bias_J_{stages}": sum(
                    line.joules
                    for line in ledger.lines
                    if line.name.endswith("bias") and "amplifiers" in line.name
                ),
                f"bias_W_{stages}": float(amperes) * technology.supply,
            }
        row["read_s"] = float(np.mean([times["read"] for _, times in found]))
        yield row


# ngspice


def spice_spikes(
    of: Layer, states: np.ndarray, volts: np.ndarray, steps: np.ndarray | None, bandwidth: float
) -> np.ndarray:
    """Return the first spikes in s (neurons) of a layer in ngspice, whose op-amps have one pole.

    `volts`: rows; `steps`: times in s at which rows but the bias row step up, None: an image.
    """
    edge = 0.0 if steps is None else of.rise / 4
    circuit = crossbar_circuit(of, of.neurons, of.rows, edge)
    for subcircuit in circuit.subcircuits:
        if subcircuit.name.endswith("_amplifier"):
            pole = OpAmp.STAGE / (2 * math.pi * bandwidth)
            subcircuit.C("pole", "stage", subcircuit.gnd, pole)
    complete = of.with_reference(states)
    changes: dict[str, Any] = state_changes(
        np.ndindex(complete.shape), complete.ravel().tolist(), "cell_0"
    )
    scaled = volts if steps is None else volts[-1:]
    changes |= {
        f"erow_0_{k} gain": value
        for k, value in enumerate(scaled.tolist(), len(volts) - len(scaled))
    }
    if steps is not None:
        late = np.nan_to_num(steps, nan=1.0)
        changes |= {f"v.xrow_0_{k}.vat dc": time for k, time in enumerate(late.tolist())}
    tau = of.neuron.time_constant
    stop = min(of.window, LONGEST * tau)
    solver = Solver(max_step=tau / STEPS, reltol=1e-6, trtol=1e6, chgtol=1e-7, method="trap")
    waves = run_once(circuit, solver, names("membrane_0", of.neurons), stop, changes)
    thresholds = np.full(of.neurons, of.circuits.threshold)
    membranes = waves.stack(names("membrane_0", of.neurons))
    return first_spikes(waves.time, membranes, None, of.neuron, 0.0, 2 * stop, thresholds)


def in_ngspice(network: Network, images: Images, count: int) -> Iterator[dict[str, Any]]:
    """Yield for each bandwidth how far the spikes of ngspice are from those of the closed form, and
    how far op-amps of this bandwidth move them, in each layer. Of a hidden layer only `COLUMNS`
    columns are simulated. Rows of later layers step at the spikes of the closed form.
    """
    for bandwidth in IN_NGSPICE:
        both = np.array([bandwidth, 1e15])
        for k, layer in enumerate(network.layers):
            own, states = layer, network.states[k]
            if k < len(network.layers) - 1:
                own, states = dataclasses.replace(layer, columns=COLUMNS), states[:COLUMNS]
            off, moved = [], []
            for image in images.levels[:count]:
                found = forward(network, image, both)
                if k:
                    volts = np.full(own.rows, own.row_voltage)
                    steps = found[k - 1][0]
                else:
                    volts, steps = own.row_voltage * network.read_levels(image[None])[0], None
                simulated = spice_spikes(own, states, volts, steps, bandwidth)
                closed, ideal = found[k][:, : own.neurons]
                if k:  # with the same rows
                    start = neuron.start_delay(own.rise, own.neuron.time_constant)
                    rows = np.append(found[k - 1][0], start)
                    ideal = delayed_spikes(own, states, volts, rows, both)[1]
                off += np.abs(simulated - closed).tolist()
                moved += (closed - ideal).tolist()
            yield {
                "layer": k + 1,
                "bandwidth": bandwidth,
                "deviation_s": float(np.nanmax(off)) if off else None,
                "moved_s": [float(np.nanmin(moved)), float(np.nanmax(moved))] if moved else None,
                "spikes": int(np.sum(~np.isnan(off))),
            }


# Output


def described(results: dict[str, Any]) -> str:
    """Return the results as tables to print."""
    energy = [
        (
            NETWORKS[row["network"]],
            row["speed"],
            f"{row['bandwidth']:.3g}",
            f"{row['strict_accuracy']:.2%}",
            *(f"{row[f'inference_J_{stages}']:.3g}" for stages in (2, 1)),
            *(f"{row[f'bias_W_{stages}']:.3g}" for stages in (2, 1)),
        )
        for row in results["energy"]
    ]
    spice = [
        (
            NETWORKS[row["network"]],
            row["layer"],
            f"{row['bandwidth']:g}",
            row["deviation_s"],
            row["moved_s"],
        )
        for row in results["spice"]
    ]
    gain = [
        (NETWORKS[row["network"]], row["loop_gain"], f"{row['strict_accuracy']:.2%}")
        for row in results["gain"]
    ]
    return "\n\n".join(
        [
            table(("network", "speed", "Hz", "accuracy", "J", "J, 1 stage", "W", "W, 1"), energy),
            table(("network", "layer", "Hz", "deviation in s", "moved by, in s"), spice),
            table(("network", "loop gain", "accuracy"), gain),
        ]
    )


def figure(results: dict[str, Any]) -> Figure:
    """Draw changed decisions over the bandwidth, and the energy over the speed."""
    drawn, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
    for name, colour in zip(NETWORKS, COLOURS, strict=False):
        for speed, style in ((1, "-"), (20, "--")):
            rows = [
                row
                for row in results["decisions"]
                if row["network"] == name and row["speed"] == speed and row["bandwidth"]
            ]
            left.loglog(
                [row["bandwidth"] for row in rows],
                [max(100 * row["changed"], 1e-2) for row in rows],
                style,
                color=colour,
                label=f"{NETWORKS[name]}, speed {speed}",
            )
        rows = [row for row in results["energy"] if row["network"] == name]
        right.loglog(
            [row["speed"] for row in rows],
            [row["inference_J_2"] for row in rows],
            "o-",
            color=colour,
            label=NETWORKS[name],
        )
    left.axhline(100 * CHANGED, color="0.5", linewidth=0.8)
    left.set(xlabel="gain-bandwidth product of the op-amps (Hz)", ylabel="changed decisions (%)")
    right.set(xlabel="speed", ylabel="energy of an inference (J)")
    left.legend(fontsize=6)
    right.legend(fontsize=6)
    return drawn


if __name__ == "__main__":
    run(main)
