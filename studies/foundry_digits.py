"""Evidence for docs/silicon.md: ten digits learn in SkyWater's parts, ReRAM and transistors.

The digits have 3x5 pixels. The crossbar has 150 cells of the model sky130_reram, the neurons are
those of sky130, 20 transistors each. In each epoch one transient of ngspice reads the ten digits
and each digit with a random flipped pixel. Then a second one writes, with V/2 and ideal drivers:
for each error, the cells of driven rows get a pulse up in the column of the digit, and a pulse down
in the column that fired first. Beside it, networks with other cells and ideal neurons learn in the
same way in closed form.

Writes results/devices/foundry_digits.json in ten minutes on one core. Needs the models of `make
silicon`.
"""

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PySpice.Spice.Netlist import Circuit

from memristive.cli.script import Record, make_parser, print_rows, run
from memristive.datasets import digits_012345
from memristive.devices.measured_device import MeasuredDevice, load_device
from memristive.devices.neuron_model import EDGE, load_neuron_model
from memristive.devices.spice_model import load_model
from memristive.engines.engine import write_columns
from memristive.network.two_terminal import HALF, DeviceArray
from memristive.spice.session import Solver, run_once
from memristive.writing.pulses import ModelWrite
from snn_circuit import add_source, edges, names

MODEL, NEURON = load_model("sky130_reram"), load_neuron_model("sky130")
MORE = ["111100111101111", "111001001001001", "111101111101111", "111101111001111"]  # 6 to 9
DIGITS = np.vstack([digits_012345().patterns, [[float(c) for c in digit] for digit in MORE]])
CLASSES, PIXELS = DIGITS.shape
ROW = 0.02  # V of a row in a read: 15 cells conduct 1 mS, and the neuron takes 20 uA
RESET, WINDOW, PAUSE = 1.5e-6, 4e-6, 0.3e-6  # s, of a read; the reset ends a pause before it
FIRST = 4e-6  # s, of the first read: biases have settled
SOLVER = Solver(max_step=50e-9, reltol=1e-4, trtol=7.0, chgtol=1e-17, method="gear")
EPOCHS, PULSE, FALL = 20, 0.5, 0.9  # length of the first write in pulses, and its factor an epoch
# S: a column at the conductance G takes the share 1/(1 + G/HELD) of its current, because the
# regulator leaves it some millivolts above its reference
HELD = 1.24e-3
TESTS = {0: 1, 1: 3, 2: 3, 3: 3}  # flipped pixels, and copies of each digit, in ngspice
MANY = 300  # copies in closed form

Decide = Callable[[np.ndarray], np.ndarray]  # images (n x pixels) -> columns (n; -1: silent)


def flipped(pixels: int, copies: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return `copies` of all digits with so many flipped `pixels`, and their labels."""
    labels = np.tile(np.arange(CLASSES), copies)
    images = DIGITS[labels]
    for image in images:
        which = rng.choice(PIXELS, pixels, replace=False)
        image[which] = 1 - image[which]
    return images, labels


def read(states: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return first spikes in s (images x columns; nan: silent) of reads in one transient, and the
    energies of a read in J.
    """
    circuit = Circuit("digits in foundry's parts")
    MODEL.add_to(circuit, compiled=True)
    NEURON.add_to(circuit)
    starts = FIRST + (RESET + WINDOW) * np.arange(len(images))
    reset, rows = [(0.0, NEURON.reset_level)], [[(0.0, 0.0)] for _ in range(PIXELS)]
    for start, image in zip(starts, images, strict=True):
        free = edges(start - PAUSE, WINDOW + PAUSE, EDGE, -NEURON.reset_level)
        reset += [(t, NEURON.reset_level + volts) for t, volts in free]
        for i in np.flatnonzero(image).tolist():
            rows[i] += edges(start, WINDOW - PAUSE, EDGE, ROW)
    circuit["Vreset"].detach()
    add_source(circuit, "reset", reset)
    for i, points in enumerate(rows):
        add_source(circuit, f"row_{i}", points)
    for j in range(CLASSES):
        NEURON.add_neuron(circuit, j, f"column_{j}")
    for (j, i), state in np.ndenumerate(states):
        MODEL.add_cell(circuit, f"cell_{j}_{i}", f"row_{i}", f"column_{j}", float(state))
    volts, currents = names("row", PIXELS), [f"i(vrow_{i})" for i in range(PIXELS)]
    outputs = names("output", CLASSES)
    saved = [*outputs, *volts, *currents, "i(vsupply)"]
    waves = run_once(circuit, SOLVER, saved, starts[-1] + WINDOW)
    spikes = np.full((len(images), CLASSES), np.nan)
    for (q, start), (j, output) in itertools.product(enumerate(starts), enumerate(outputs)):
        found = NEURON.spikes(waves.time, waves[output], start)
        if len(found) and found[0] < WINDOW:
            spikes[q, j] = found[0]
    of_rows = -(waves.stack(currents) * waves.stack(volts)).sum(axis=0)
    powers = {"neurons": -waves["i(vsupply)"] * NEURON.levels["supply"], "rows": of_rows}
    energies = {
        name: float(np.trapezoid(power, waves.time) / len(images)) for name, power in powers.items()
    }
    return spikes, energies


def decided(spikes: np.ndarray) -> np.ndarray:
    """Return the column that fires first (images; -1: all are silent)."""
    times = np.where(np.isnan(spikes), np.inf, spikes)
    return np.where(np.isfinite(times).any(axis=1), times.argmin(axis=1), -1)


def epoch(
    decide: Decide, rng: np.random.Generator
) -> tuple[list[tuple[int, bool, np.ndarray]], int]:
    """Return the writes of an epoch (column, up, rows), and how many of the plain digits were
    right.
    """
    noisy, labels = flipped(1, 1, rng)
    images, labels = np.vstack([DIGITS, noisy]), np.tile(labels, 2)
    found, writes = decide(images), []
    for image, label, winner in zip(images, labels.tolist(), found.tolist(), strict=True):
        if winner != label:
            writes.append((label, True, image))
            writes += [(winner, False, image)] if winner >= 0 else []
    return writes, int((found == labels)[:CLASSES].sum())


def in_ngspice(device: MeasuredDevice, seed: int) -> dict[str, Any]:
    """Learn and test in ngspice; return the record of it."""
    rng, array = np.random.default_rng(seed), DeviceArray(MODEL, device, HALF)
    states = np.full(DIGITS.shape, filament(float(device.conductance(0.5))))
    right, energies, write_energy, writes = list[int](), dict[str, float](), 0.0, 0
    begin, wall = time.process_time(), time.perf_counter()

    def decide(images: np.ndarray) -> np.ndarray:
        nonlocal energies
        spikes, energies = read(states, images)
        return decided(spikes)

    for k in range(EPOCHS):
        due, count = epoch(decide, rng)
        right.append(count)
        length = PULSE * FALL**k
        for column, up, image in due:
            volts, width = (
                (MODEL.voltage_up, MODEL.width_up) if up else (MODEL.voltage_down, MODEL.width_down)
            )
            power = np.abs(volts * current(states[column], volts))
            write_energy += float((power * image).sum() * length * width)
        writes += len(due)
        pulses = [ModelWrite(column, up, length * image) for column, up, image in due]
        states = write_columns(array, states, pulses)
        print(f"epoch {k}: {count} of {CLASSES} digits, {len(due)} writes", flush=True)
    row: dict[str, Any] = {
        "right": right,
        "writes": writes,
        "write_energy": write_energy / writes,
        "learning_seconds": time.perf_counter() - wall,
        "learning_core_seconds": time.process_time() - begin,
    }
    conductances, same = current(states, 0.1) / 0.1, []
    for pixels, copies in TESTS.items():
        images, labels = flipped(pixels, copies, np.random.default_rng([seed, pixels]))
        spikes, energies = read(states, images)
        row[f"flipped_{pixels}"] = float((decided(spikes) == labels).mean())
        same.append(decided(spikes) == by_currents(conductances, images, HELD))
        if not pixels:
            row["first_spike"] = float(np.nanmedian(np.nanmin(spikes, axis=1)))
            ordered = np.sort(np.where(np.isnan(spikes), WINDOW, spikes), axis=1)
            row["least_lead"] = float((ordered[:, 1] - ordered[:, 0]).min())
    row |= {"read_energy": energies, "agreement": float(np.concatenate(same).mean())}
    row["closed_form"] = accuracies(conductances, seed, HELD)
    return row | {"states": states.tolist()}


def current(filaments: np.ndarray, volts: float) -> np.ndarray:
    """Return the current in A of filaments of a length in nm."""
    return np.asarray(61.4e-6 * np.exp((filaments - 5) / 0.2751) * np.sinh(volts / 0.43))


def filament(conductance: float) -> float:
    """Return the length in nm of a filament of a conductance in S at 0.1 V."""
    return float(5 + 0.2751 * np.log(conductance * 0.1 / (61.4e-6 * np.sinh(0.1 / 0.43))))


def by_currents(conductances: np.ndarray, images: np.ndarray, held: float) -> np.ndarray:
    """Return the column with the largest current, by which its neuron fires first."""
    return np.asarray(
        (images @ conductances.T / (1 + conductances.sum(axis=1) / held)).argmax(axis=1)
    )


def accuracies(conductances: np.ndarray, seed: int, held: float) -> list[float]:
    """Return the shares of right digits with 0 to 3 flipped pixels, in closed form."""
    found = []
    for pixels in TESTS:
        images, labels = flipped(pixels, MANY, np.random.default_rng([seed, 10 + pixels]))
        found.append(float((by_currents(conductances, images, held) == labels).mean()))
    return found


def in_closed_form(
    device: MeasuredDevice, pulse: float, noise: float, held: float, seeds: int
) -> list[float]:
    """Return the mean accuracies over seeds of networks that learn in closed form."""
    found = []
    for seed in range(1, seeds + 1):
        rng, x = np.random.default_rng(seed), np.full(DIGITS.shape, 0.5)
        for k in range(EPOCHS):
            decide = functools.partial(by_currents, device.conductance(x), held=held)
            due, _ = epoch(decide, rng)
            for column, up, image in due:
                pulses = image * pulse * FALL**k
                moved = device.after(x[column], pulses if up else -pulses)
                scatter = noise * np.sqrt(pulses) * rng.normal(size=PIXELS)
                x[column] = np.clip(moved + scatter, 0, 1)
        found.append(accuracies(device.conductance(x), seed, held))
    return [float(share) for share in np.mean(found, axis=0)]


def best() -> list[float]:
    """Return the shares of right digits that no classifier exceeds."""
    found = []
    for pixels in TESTS:
        counts: dict[tuple[float, ...], list[int]] = {}
        for digit, image in enumerate(DIGITS):
            for which in itertools.combinations(range(PIXELS), pixels):
                key = image.copy()
                key[list(which)] = 1 - key[list(which)]
                counts.setdefault(tuple(key), [0] * CLASSES)[digit] += 1
        found.append(sum(map(max, counts.values())) / sum(map(sum, counts.values())))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Learn, save, print."""
    parser = make_parser(__doc__, "devices", parameters=False)
    parser.add_common("--seeds", 5)
    options = parser.parse_args(arguments)
    device = load_device(str(options.default_results / "sky130_reram_device.json"))
    parameters = {"model": MODEL.sha256, "neuron": NEURON.sha256, "epochs": EPOCHS}
    record = Record(options, "foundry_digits", parameters | {"seeds": options.seeds})
    ideal = load_device("ideal")
    rows = [
        {"network": name, **{f"flipped_{k}": share for k, share in enumerate(shares)}}
        for name, shares in (
            ("best possible", best()),
            ("ideal", in_closed_form(ideal, 20.0, 0.0, np.inf, options.seeds)),
            ("reram, ideal neurons", in_closed_form(device, PULSE, 0.0, np.inf, options.seeds)),
            ("reram, regulators", in_closed_form(device, PULSE, 0.0, HELD, options.seeds)),
            ("reram with noise", in_closed_form(device, PULSE, 0.037, HELD, options.seeds)),
        )
    ]
    print_rows(rows)
    own = in_ngspice(device, 1)
    record.write({"rows": rows, "ngspice": own})
    print_rows([{name: value for name, value in own.items() if isinstance(value, float)}])


if __name__ == "__main__":
    run(main)
