"""Crossbars with resistive wires, without ngspice: a sparse linear solver computes the currents,
and spikes follow as in the closed form.

Each cell has a node on its row and a node on its column. Wires are linear. A channel is nearly
linear, because its input lifts its gate. So the network of wires and of conductances at small
voltages is factorised once, and a few iterations correct the rest.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import block_array, csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import splu

from memristive.network.crossbar import SHARES, Crossbar
from memristive.network.design import FloatOrArray, Setup
from memristive.parameters import ParameterError, SimulationError
from memristor import ISOLATED, conductance, read_current
from snn_circuit import Cells, Wires

TOLERANCE = 1e-6  # V, last correction of any node; the next one would be a hundred times smaller
ITERATIONS = 500  # three to five suffice for wires of ohms
# V: change of a state after which the network is factorised anew. It sets the speed, not the
# solution.
MOVED = 0.5
LEAST_RESISTANCE = 1e-5  # ohm, instead of wires without resistance
IMAGES_A_SOLVE = 10  # images at a time: more do not stay in the cache


class WireSolver:
    """Node voltages of a crossbar with resistive wires.

    Parameters
    ----------
    cells : Cells
    wires : Wires
    ends : float or array, classes, ohm
        Input resistance of the neurons.
    """

    def __init__(self, cells: Cells, wires: Wires, ends: FloatOrArray = 0.0) -> None:
        self._cells, self._row, self._column = (
            cells,
            *(1 / max(ohm, LEAST_RESISTANCE) for ohm in (wires.row, wires.column)),
        )
        self._ends = 1 / (1 / self._column + ends)  # S, from a column's last node to ground
        self._share = cells.share
        self._factorised: np.ndarray | None = None  # states

    def currents(self, states: np.ndarray, volts: np.ndarray) -> np.ndarray:
        """Return the columns' currents in A (n x classes). `states`: classes x inputs, V; `volts`:
        voltages at the rows' inputs, n x inputs.
        """
        return self.cell_currents(states, *self.nodes(states, volts)).sum(axis=-1)

    def nodes(self, states: np.ndarray, volts: np.ndarray) -> np.ndarray:
        """Return the voltages in V of the cells' nodes on rows and on columns, 2 x n x classes x
        inputs.

        Parameters
        ----------
        states : array, classes x inputs, V
        volts : array, n x inputs, V
            Voltages at the rows' inputs, of either sign.

        Raises
        ------
        SimulationError
            The iteration does not converge.
        """
        if (
            self._factorised is None
            or states.shape != self._factorised.shape
            or np.abs(states - self._factorised).max() > MOVED
        ):
            self._factorise(states)
        source = np.zeros((2, *states.shape, len(volts)))
        source[0, 0] = self._row * volts.T
        nodes = self._lu.solve(source.reshape(-1, len(volts)))
        for _ in range(ITERATIONS):
            current = self.cell_currents(states, *np.moveaxis(nodes.reshape(source.shape), -1, 1))
            leaving = np.moveaxis(np.array([current, -current]), 1, -1) - source
            change = self._lu.solve(self._wires @ nodes + leaving.reshape(nodes.shape))
            nodes -= change
            if np.abs(change).max() < TOLERANCE:
                return np.moveaxis(nodes.reshape(source.shape), -1, 1)
        raise SimulationError(
            f"the currents through the wires do not converge: {np.abs(change).max():g} V after "
            f"{ITERATIONS} iterations"
        )

    def cell_currents(
        self, states: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Return the cells' currents in A. `states`: classes x inputs, V. `rows`, `columns`:
        voltages in V of the cells' nodes on rows and on columns, ... x classes x inputs, as the
        result.

        The node of lower voltage is the channel's source. If the source rises by 1 V, the gate
        rises by C_gate / (C + C_gate) only, because the capacitor C holds it to ground. The missing
        share C / (C + C_gate) lowers the overdrive.
        """
        lower, across = np.minimum(rows, columns), rows - columns
        return np.sign(across) * read_current(
            self._cells, states - self._share * lower, np.abs(across)
        )

    def _factorise(self, states: np.ndarray) -> None:
        classes, inputs = states.shape
        rows = self._row * kron(_ladder(classes), eye_array(inputs))
        columns = self._column * kron(eye_array(classes), _ladder(inputs)[::-1, ::-1])
        last = np.zeros(states.shape)
        last[:, -1] = self._ends - self._column
        own = diags_array(np.ravel(conductance(self._cells, states)))
        self._wires: Any = csr_array(
            block_array([[rows, None], [None, columns + diags_array(last.ravel())]])
        )
        cells = block_array([[own, -own], [-own, own]])
        self._lu: Any = splu(
            (self._wires + cells).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        self._factorised = states.copy()


def _ladder(count: int) -> Any:
    """Return the conductance matrix (`count` x `count`) of a wire with a piece of 1 S before each
    of its `count` nodes; the first piece comes from the source.
    """
    own = np.full(count, 2.0)
    own[-1] = 1.0
    return (diags_array(own) - eye_array(count, k=1) - eye_array(count, k=-1)).tocsr()


@dataclass(frozen=True)
class WiredCrossbar(Crossbar):
    """`Crossbar` whose currents flow through resistive wires. All methods take one array of states,
    classes x inputs.
    """

    solver: WireSolver
    isolated: bool  # the channels' junctions do not conduct

    @classmethod
    def of(cls, setup: Setup) -> "WiredCrossbar":
        """Return the crossbar of a `setup`."""
        bare = Crossbar.of(setup.replace(devices=dataclasses.replace(setup.devices, wires=Wires())))
        ends = bare.neurons.stages.feedback / np.asarray(bare.neurons.stages.amplifier_gain)
        return cls(
            **vars(bare),
            solver=WireSolver(bare.cells, setup.devices.wires, ends),
            isolated=setup.memristor.junction_current <= ISOLATED,
        )

    def _currents(self, states: np.ndarray, images: np.ndarray) -> Iterator[np.ndarray]:
        for first in range(0, len(images), IMAGES_A_SOLVE):
            volts = self.schedule.input_voltage * images[first : first + IMAGES_A_SOLVE]
            half, full = self.solver.currents(states, np.concatenate([volts / 2, volts])).reshape(
                2, len(volts), -1
            )
            # Over the edge, currents are as good as quadratic in the input. The solver includes the
            # neurons' input resistance.
            shares = SHARES[:, None, None]
            yield from np.moveaxis(shares * (full + (1 - shares) * 2 * (2 * half - full)), 0, 1)

    def write_column(
        self,
        states: np.ndarray,
        column: int,
        image: np.ndarray,
        sign: int,
        pulse: float,
        cells: Cells,
    ) -> np.ndarray:
        """Return the states of a `column` (inputs, V) after one write, in which its cells see the
        voltage of the input less the drop along the wires. Arguments are those of
        `Crossbar.write_column`.

        Raises ParameterError for a depression with junctions that conduct: their currents would
        take away a third of the dose.
        """
        if sign < 0 and not self.isolated:
            raise ParameterError(
                "depressions through wires need isolated junctions: "
                f"memristor.junction_current={ISOLATED:g}"
            )
        rows, columns = self.solver.nodes(states, sign * self.schedule.input_voltage * image[None])[
            :, 0, column
        ]
        return self.written(states[column], rows - columns, pulse, cells)
