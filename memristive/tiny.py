"""The method of this project in one file of plain NumPy, to be read from top to bottom.

A circuit learns four symbols by the rule of S. L. Jurj (Electronics 2024, 13(23), 4665), and then
XOR from its errors, which takes two layers: errors flow back through the memristors that carry the
spikes. `python -m memristive.tiny` takes a second. Cells are alike here, amplifiers ideal and edges
steps. The rest of the project adds what circuits have, and compares it with ngspice.
"""

import numpy as np

# 1. A synapse: the memristor, emulated by a transistor with a capacitor at its gate
#
# The capacitor's voltage X is the memory, and the channel conducts in proportion to X. So X is the
# weight, and it is used where it is stored.

K = 5e-9  # S: current that charges the memory, for each volt across the synapse
LEAK = 1e12  # ohm, from the memory to ground while it is written
CAPACITOR = 1e-13  # F
GATE = 3.9 * 8.854214871e-12 * 1e-4 * 1e-4 / 1e-7  # F: 100 um x 100 um of oxide, 100 nm thick
MEMORY = CAPACITOR + GATE  # F
SHARE = CAPACITOR / MEMORY
GAIN = 1.3e-4  # A/V^2, of the channel
VOLTS = 1.0  # V, of a row at level 1
RATE = K * VOLTS / MEMORY  # V/s: X grows by 1.4 V in a millisecond


def write(states: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the states X in V of a column after a write; row i is high for `seconds[i]` s, or at
    minus `VOLTS` if this is below 0.

    The column's line phi is high until the last row falls. Meanwhile dX/dt = (K V - X / LEAK) /
    MEMORY, so X integrates the voltage V. The leak is slow (3.6 s), so only the mean of V counts.
    """
    window = np.abs(seconds).max()
    balance = K * LEAK * VOLTS * seconds / window  # V: at this X the leak takes all that K brings
    return states + (balance - states) * -np.expm1(-window / (LEAK * MEMORY))


def current(states: np.ndarray | float, volts: np.ndarray) -> np.ndarray:
    """Return the currents in A of cells with rows at `volts` and columns at 0 V, while phi is low.

    The gate then floats: its charge stays, so a row that rises lifts it a little. The lift solves a
    quadratic equation (docs/circuit.md). The channel obeys the square law at the lifted gate.
    """
    overdrive = np.maximum(states, 0.0)
    drop = np.minimum(volts, 3 / (2 + SHARE) * overdrive)  # the rest does not act: saturation
    mean = overdrive - SHARE / 2 * drop
    root = np.sqrt(np.maximum(mean * mean - (1 - SHARE) / 3 * drop * drop, 0.0))
    lifted = (mean + drop + root) / 2
    return GAIN * (lifted - drop / 2) * drop


# 2. A neuron: the sum of a column's currents charges a leaky membrane up to the threshold
#
# A larger current gets there earlier. So the neuron whose weights suit the image best fires first:
# this names the class, and the read can end.

TAU = 150e-6  # s, time constant of a membrane
THRESHOLD = 4.0  # V
WINDOW = 150e-6  # s: neurons that have not fired by then are silent


def weights(states: np.ndarray, volts: np.ndarray, zero: float, ohms: float) -> np.ndarray:
    """Return by how many thresholds each cell would move its neuron's membrane in the end.

    One more column, whose cells are at X = `zero` (V), is subtracted, because weights can be
    negative, but conductances cannot. `volts`: rows x 1. `ohms`: membrane in V per A.
    """
    return ohms / THRESHOLD * (current(states, volts) - current(zero, volts))


def race(steps: np.ndarray, rises: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first spikes in s (inf: silent) and the settled membranes in thresholds.

    Row k rises at t_k (`rises`) and moves membranes by its `steps` w_k (1 - exp(-(t - t_k) / TAU)).
    All exponentials fall alike, so with z = exp(t / TAU) the rows that have risen take a membrane
    to its threshold at z = sum(w_k z_k) / (sum(w_k) - 1) (H. Mostafa, IEEE TNNLS 29, 3227, 2018).
    """
    order = np.argsort(rises, kind="stable")[: np.sum(rises < window)]
    z, steps = np.exp(rises[order] / TAU)[:, None], steps[order]
    drives, until = np.cumsum(steps, axis=0), np.append(z[1:], np.exp(window / TAU))[:, None]
    spikes = np.full(drives.shape, np.inf)
    np.divide(np.cumsum(steps * z, axis=0), drives - 1, out=spikes, where=drives > 1)
    spikes[spikes > until] = np.inf  # another row rises before
    first = np.isfinite(spikes).argmax(axis=0)
    return TAU * np.log(spikes[first, np.arange(len(first))]), drives[-1]


# 3. The paper's rule: a pattern writes itself (Hebb)
#
# While pattern j is at the rows, only the phi of column j is high. Cells at pixels that are on gain
# 7 V, the others stay at 0 V. So the column that shares most pixels with an image fires first.

PULSE = 5e-3  # s, of a write, and the longest read
OHMS = 1e3  # V/A


def hebbian(patterns: np.ndarray) -> np.ndarray:
    """Return the states (rows x columns, V) after each of the `patterns` has written a column."""
    return np.column_stack([write(np.zeros(len(pattern)), PULSE * pattern) for pattern in patterns])


def recall(states: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the first spikes in s of the paper's layer, where no weight is below 0."""
    steps = weights(states, VOLTS * image[:, None], 0.0, OHMS)
    return race(steps, np.zeros(len(image)), PULSE)[0]


# 4. Layers in series: a spike is a step that stays high and drives a row of the next crossbar
#
# Each crossbar has one more row, the bias, which is high in every read.

ZERO = 5.0  # V, X of a synapse of weight 0
LAYER_OHMS = 20e3  # V/A: each volt of X above or below ZERO is 0.65 thresholds


def read(layers: list[np.ndarray], image: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return for each layer the first spikes in s and the settled membranes in thresholds."""
    spikes, settled = list[np.ndarray](), list[np.ndarray]()
    rises, volts = np.zeros(len(image) + 1), VOLTS * np.append(image, 1.0)
    for states in layers:
        fired, membranes = race(weights(states, volts[:, None], ZERO, LAYER_OHMS), rises, WINDOW)
        spikes, settled = [*spikes, fired], [*settled, membranes]
        rises, volts = np.append(fired, 0.0), np.full(len(fired) + 1, VOLTS)
    return spikes, settled


# 5. Learning from errors: read, compare, write
#
# If the label's neuron does not lead, it should fire earlier and the first wrong neuron later. So
# one column is written up and one down, each row for as long as it was high before the spike.
#
# 6. A hidden layer: read, compare, read back, write
#
# One layer adds up its pixels, so it cannot learn XOR. If hidden neuron k fires earlier, the
# label's lead grows with X_k,label - X_k,wrong: the error of k, as in backpropagation. Channels
# conduct both ways, so the crossbar computes it: with +0.1 V at the label's column and -0.1 V at
# the wrong one, the current into row k is in proportion to this difference. Column k is then
# written with the image, in proportion to its error.

MARGIN = 10e-6  # s by which the label must lead
OUTPUT_DOSE = 0.6  # V, change of X in a row that was high for one TAU
HIDDEN_DOSE = 0.3  # V, change of X at a full pixel, per volt of error
REACH = 0.9  # thresholds: neurons that nearly fired are written, too, or they would never fire
BACK = 0.1  # V, so small that channels act as resistors


def read_back(states: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return the sums of error x (X - ZERO) in V, read as currents of all rows but the bias."""
    amperes = current(states, BACK * errors).sum(axis=1) + current(ZERO, -BACK * errors.sum())
    return amperes[:-1] / (GAIN * BACK)


def learn(layers: list[np.ndarray], image: np.ndarray, label: int, left: float = 1.0) -> bool:
    """Present an image to one or two `layers`, and write them if neuron `label` does not lead by
    the margin. Return True if they are written. `left`: share of the doses; it falls, so that a
    training settles.
    """
    spikes, settled = read(layers, image)
    ours, others = spikes[-1][label], spikes[-1].copy()
    others[label] = np.inf
    wrong, errors = others.argmin(), np.zeros(len(others))
    if ours < np.inf and others[wrong] >= ours + MARGIN:
        return False
    errors[wrong] = -1.0 if others[wrong] < np.inf else 0.0
    errors[label] = 1.0
    doses = [OUTPUT_DOSE * errors]
    if len(layers) > 1:
        doses = [HIDDEN_DOSE * read_back(layers[1], errors) * (settled[0] >= REACH), *doses]
    for k, states in enumerate(layers):
        for j in np.flatnonzero(doses[k]):
            high = np.append(image, 1.0)
            if k > 0:
                since = np.append(spikes[0], 0.0)
                high = np.maximum(min(spikes[1][j], WINDOW) - since, 0.0) / TAU
            states[:, j] = write(states[:, j], left * doses[k][j] / RATE * high)
    return True


def main() -> None:
    """Learn four symbols by the paper's rule, then XOR from errors, with one layer and with two."""
    names, drawn = "X+U=", ("101010101", "010111010", "101101111", "111000111")  # 3x3 pixels
    patterns = np.array([list(map(float, symbol)) for symbol in drawn])
    states = hebbian(patterns)
    for name, image in zip(names, patterns, strict=True):
        spikes = recall(states, image)
        print(f"{name} is read as {names[spikes.argmin()]} after {1e6 * spikes.min():.0f} us")
    images, rng = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.random.default_rng(1)
    for sizes in ([(3, 2)], [(3, 16), (17, 2)]):  # rows, with the bias, and columns
        layers = [rng.normal(ZERO + 0.7, 1.4, size) for size in sizes]
        for n in range(400):
            learn(layers, images[n % 4], (0, 1, 1, 0)[n % 4], 1 - n / 400)
        print(f"XOR by {len(layers)} layer(s), right is 0, 1, 1, 0:")
        for image in images:
            spikes = read(layers, image)[0][-1]
            print(f"  {image} is read as {spikes.argmin()} after {1e6 * spikes.min():.0f} us")


if __name__ == "__main__":
    main()
