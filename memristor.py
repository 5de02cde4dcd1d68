"""The memristor emulator: formulas of its cell, parameters, SPICE subcircuits.

The formulas, called laws, give the current of the channel, the lift of the floating gate and writes
(docs/circuit.md). Each law stands here once, in NumPy's functions, and the kernels compile it. Laws
take numbers or arrays of any shape that broadcast.

`python -m memristive.commands.loop` simulates the emulator alone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from memristive.devices.aging import Aging
from memristive.devices.write_curve import WriteCurve
from memristive.parameters import FloatOrArray, ParameterError, Parameters, quantity
from memristive.spice.pyspice import Circuit, SubCircuit

ISOLATED = 1e-300  # A, saturation current of a junction that does not conduct


class Channel(Protocol):
    """Parameters of a channel: numbers, or arrays of many cells' values (any shape)."""

    @property
    def gain(self) -> FloatOrArray:
        """Gain Kp W/L of the channel in A/V^2."""

    @property
    def threshold_voltage(self) -> FloatOrArray:
        """Threshold voltage Vto in V."""

    @property
    def share(self) -> FloatOrArray:
        """Share C / (C + C_gate) of the explicit capacitor in the memory."""

    @property
    def pinch(self) -> FloatOrArray:
        """Overdrive of the lifted gate over the overdrive at rest, of a saturated channel: 3 / (2 +
        share).
        """


class ChannelValues(NamedTuple):
    """A `Channel` as plain values, which kernels pass to the laws."""

    gain: FloatOrArray
    threshold_voltage: FloatOrArray
    share: FloatOrArray
    pinch: FloatOrArray


def channel_current(channel: Channel, state: FloatOrArray, voltage: FloatOrArray) -> FloatOrArray:
    """Return the channel current in A from the input to a neuron at 0 V: the square law of Shichman
    and Hodges.

    ngspice's level 3 reduces to it. The channel is off for X below Vto, saturated for X - Vto below
    V, else linear.

    Parameters
    ----------
    channel : Channel
    state : array_like, V
        Gate voltage X.
    voltage : array_like, V
        Input voltage, 0 or above.
    """
    overdrive = np.maximum(state - channel.threshold_voltage, 0.0)
    drop = np.minimum(voltage, overdrive)
    return channel.gain * (overdrive * drop - drop**2 / 2)


def raised_state(channel: Channel, state: FloatOrArray, voltage: FloatOrArray) -> FloatOrArray:
    """Return the voltage in V of the floating gate while the input is at `voltage` V: the channel
    lifts its gate.

    The gate keeps its charge C X + Q. Let s = X - Vto be the overdrive at the neuron's side (0 V),
    d = s - V that at the input's. The derivatives of Q = 2/3 C_gate (s^2 + s d + d^2) / (s + d) are
    J. E. Meyer's capacitances (RCA Review 32, 1971); in saturation d = 0. So s solves a quadratic
    equation, in saturation a linear one (docs/circuit.md). If X is at most Vto, the channel is
    off and does not lift the gate. `state` (V) and `voltage` (V) broadcast; negative voltages lower
    the gate.
    """
    share = channel.share
    start = state - channel.threshold_voltage
    mean = start - share / 2 * voltage
    root = np.sqrt(np.maximum(mean * mean - (1 - share) / 3 * (voltage * voltage), 0.0))
    linear = (start + (1 - share / 2) * voltage + root) / 2
    pinched = channel.pinch / 3 * (3 * start + 2 * (1 - share) * np.minimum(voltage, 0.0))
    # masks: np.where of two numbers is slow when compiled
    is_linear, conducts = pinched > np.maximum(voltage, 0.0), start > 0
    return state + conducts * (is_linear * linear + (1 - is_linear) * pinched - start)


def lowered_state(channel: Channel, state: FloatOrArray, voltage: FloatOrArray) -> FloatOrArray:
    """Return the voltage in V of a gate after the input has fallen from `voltage` (V, 0 or above)
    to 0 V.

    `state` is the voltage of the lifted gate before, so this function undoes `raised_state`.
    """
    start = state - channel.threshold_voltage
    drain = np.maximum(start - voltage, 0.0)
    charge = (
        2 / 3 * (start * start + start * drain + drain * drain) / np.maximum(start + drain, TINY)
    )
    lifted = (start > 0) & (voltage > 0)
    return state + lifted * (channel.share * start + (1 - channel.share) * charge - start)


def read_current(channel: Channel, state: FloatOrArray, voltage: FloatOrArray) -> Any:
    """Return the channel current in A while the input is at `voltage` V and the gate floats.
    `state`: X in V with the input at 0 V; shapes broadcast.

    It is `channel_current` at `raised_state`, simplified to one square root because reads spend
    most of their time here. `voltage` may be negative where the channel conducts well, as in
    back-reads.
    """
    start = np.maximum(state - channel.threshold_voltage, 0.0)
    # a drain beyond pinch-off changes neither charge nor current
    drop = np.minimum(voltage, channel.pinch * start)
    mean = start - channel.share / 2 * drop
    return (
        channel.gain
        / 2
        * drop
        * (mean + np.sqrt(np.maximum(mean * mean - (1 - channel.share) / 3 * (drop * drop), 0.0)))
    )


def conductance(channel: Channel, state: FloatOrArray) -> Any:
    """Return the conductance Kp W/L (X - Vto) in S with which a cell loads its column, whatever the
    cell's input is.

    `state`: X in V (any shape).
    """
    return channel.gain * np.maximum(state - channel.threshold_voltage, 0.0)


def leaked(window: FloatOrArray, leak: FloatOrArray) -> Any:
    """Return the share of X that leaks away while phi is high for `window` s. The rate `leak` is 1
    / (R_leak (C + C_gate)), in 1/s.
    """
    return -np.expm1(-window * leak)


def written(
    state: FloatOrArray, charged: FloatOrArray, lift: FloatOrArray, share: FloatOrArray
) -> FloatOrArray:
    """Return X in V after a write, in which dX/dt = (K V - X' / R_leak) / (C + C_gate) with the
    lifted gate X'.

    Parameters
    ----------
    state : array_like, V
        X before.
    charged : array_like, V
        K R_leak V with the mean input V: the value that X' tends to.
    lift : array_like, V
        Mean of X' - X over the write.
    share : array_like
        From `leaked`.
    """
    return state + (charged - lift - state) * share


TINY = 1e-300  # V, keeps the quotient of a gate at rest finite


DeviceModels = dict[str, tuple[str, dict[str, float]]]  # SPICE models by name: kind and parameters
# largest share of the write current through an open switch: 70 uV of X in a read of 0.5 ms
MOST_THROUGH = 1e-4
SURFACE_POTENTIAL = 0.6  # V, ngspice's default phi of MOSFET models
EDGE_COUPLING = 5.8e-3  # V, see first_write_offset
# F/m, silicon dioxide; the constant of ngspice's MOSFET models
OXIDE_PERMITTIVITY = 3.9 * 8.854214871e-12


class Memory:
    """Memory of a cell: its explicit capacitor beside the channel's gate."""

    capacitance: Any
    gate_capacitance: Any

    @property
    def memory_capacitance(self) -> Any:
        """Capacitance that the transconductance charges, C + C_gate, in F."""
        return self.capacitance + self.gate_capacitance

    @property
    def share(self) -> Any:
        """Share C / (C + C_gate) of the explicit capacitor in the memory."""
        return self.capacitance / self.memory_capacitance

    @property
    def pinch(self) -> Any:
        """Ratio of the lifted gate's overdrive to the overdrive at rest, for a saturated
        channel.
        """
        return 3 / (2 + self.share)


@dataclass(frozen=True)
class MemristorParameters(Parameters, Memory):
    """Emulator of V. Saxena (arXiv:1711.06819), with the values of Jurj's networks (Electronics
    2024, 13, 4665).

    While phi is high, a transconductance charges the memory capacitor with the time integral of the
    voltage across the synapse. The capacitor's voltage X gates an NMOS transistor, whose channel is
    the synapse.
    """

    transconductance: float = quantity(
        5e-9, 1e-15, 1e-3, "S", "K, charges the memory per volt across the synapse"
    )
    leak_resistance: float = quantity(
        1e12, 1e6, 1e18, "ohm", "from the transconductance's output to ground"
    )
    capacitance: float = quantity(1e-13, 1e-18, 1e-3, "F", "the explicit memory capacitor C")
    width: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel width W (ngspice's default)")
    length: float = quantity(100e-6, 1e-8, 1e-1, "m", "channel length L (ngspice's default)")
    oxide_thickness: float = quantity(
        100e-9, 1e-10, 1e-5, "m", "gate oxide tox (ngspice's default)"
    )
    kp: float = quantity(
        1.3e-4, 1e-15, 1.0, "A/V^2", "transconductance parameter Kp of the channel"
    )
    threshold_voltage: float = quantity(0.0, -1e4, 1e4, "V", "Vto of the channel")
    junction_current: float = quantity(
        1e-14, 1e-300, 1e-3, "A", "saturation current Is of the junctions to bulk"
    )
    switch_threshold: float = quantity(
        0.5, 1e-3, 100.0, "V", "phi above this writes, below it remembers"
    )
    # below 1e-4 writes are off by mV
    switch_on: float = quantity(1e-3, 1e-4, 1e6, "ohm", "closed switch")
    # Reads treat the switch as open. It lets R_leak / (R_leak + R_off) of the write current
    # through, visible below 1e15 ohm.
    switch_off: float = quantity(1e20, 1e16, 1e30, "ohm", "open switch")
    # of a measured device: its gain over X, in units of the transconductance
    curve: WriteCurve | None = None
    aging: Aging | None = None  # of a measured device

    newer: ClassVar = ("junction_current", "curve", "aging")
    unwritten: ClassVar = ("aging",)

    def check(self) -> None:
        if self.leak_resistance / self.switch_off > MOST_THROUGH:
            raise ParameterError(
                f"leak_resistance must be at most {MOST_THROUGH:g} of switch_off, or the open "
                f"switch conducts write current, got {self.leak_resistance:g} ohm for "
                f"{self.switch_off:g} ohm"
            )

    @property
    def gate_capacitance(self) -> float:
        """Capacitance of the transistor's gate, eps_ox * W * L / tox, in F: 34 times the explicit
        capacitor by default.
        """
        return OXIDE_PERMITTIVITY * self.width * self.length / self.oxide_thickness

    @property
    def write_time_constant(self) -> float:
        """Time constant R_leak (C + C_gate) in s with which a cell leaks while it is written."""
        return self.leak_resistance * self.memory_capacitance

    @property
    def gain(self) -> float:
        """Gain Kp * W / L of the channel in A/V^2."""
        return self.kp * self.width / self.length

    def channel_model(self) -> dict[str, float]:
        """Return the parameters of ngspice's NMOS model by name."""
        return {
            "level": 3,
            "vto": self.threshold_voltage,
            "kp": self.kp,
            "tox": self.oxide_thickness,
            "is": self.junction_current,
        }


def state_rate(parameters: MemristorParameters, voltage: ArrayLike) -> np.ndarray:
    """Return dX/dt in V/s while phi is high: K * V / (C + C_gate), for `voltage` V across the
    synapse (any shape).
    """
    return parameters.transconductance * np.asarray(voltage, float) / parameters.memory_capacitance


def trained_state(
    parameters: MemristorParameters, voltage: ArrayLike, duration: ArrayLike
) -> np.ndarray:
    """Return the state in V after a pulse of `voltage` V for `duration` s from X = 0 (any shape),
    without the leak.

    The leak would lower this state by less than the share `duration` / `write_time_constant`.
    """
    return state_rate(parameters, voltage) * duration


def first_write_offset(parameters: MemristorParameters) -> float:
    """Return the voltage in V that a cell gains, beyond `trained_state`, when it is written from X
    = 0.

    Below Vto, Meyer's gate capacitance is smaller than C_gate, so the same charge raises X further.
    At Vto = 0, the floor of 25 mV of ngspice's saturation voltage couples the input's edge into the
    gate and adds 5.8 mV.
    """
    if parameters.threshold_voltage > 0:
        below = np.linspace(-parameters.threshold_voltage, 0.0, 1001)  # X - Vto
        share = np.where(
            below <= -SURFACE_POTENTIAL,
            1.0,
            np.where(
                below <= -SURFACE_POTENTIAL / 2,
                -below / SURFACE_POTENTIAL,
                2 / 3 + below / SURFACE_POTENTIAL / 3,
            ),
        )
        gained = float(np.trapezoid(1 - share, below))
    else:
        gained = EDGE_COUPLING if parameters.threshold_voltage == 0 else 0.0
    return gained * parameters.gate_capacitance / parameters.memory_capacitance


def rounding(parameters: MemristorParameters, seconds: float) -> float:
    """Return an upper bound of the relative error of X after a write of `seconds`, by rounding of X
    / switch_on in ngspice.

    A double resolves 2.2e-16 of a number. With the paper's 1 mohm, the rounding is a current of up
    to 0.2 pA for each volt of X, which charges C + C_gate.
    """
    return (
        float(np.finfo(float).eps)
        * seconds
        / (parameters.switch_on * parameters.memory_capacitance)
    )


def altered_state(element: str, state: float) -> dict[str, float]:
    """Return the `alter` changes that give a memristor of a loaded circuit another state in V at t
    = 0.

    `element` is the name of the memristor in the circuit, "xsynapse" for `circuit.X("synapse",
    ...)`. The state is set twice: as the voltage of the capacitor and of the channel's gate.
    """
    return {f"c.{element}.cmemory ic": state, f"m.{element}.mchannel icvgs": state}


class Cell(SubCircuit):
    """Subcircuit whose device models stand outside of it: all instances share one model, so that a
    netlist loads faster.
    """

    def __init__(self, name: str, nodes: tuple[str, ...], device_models: DeviceModels) -> None:
        super().__init__(name, *nodes, x0=0)
        self.device_models = {f"{name}_{key}": model for key, model in device_models.items()}

    def add_to(self, circuit: Circuit) -> None:
        """Define this subcircuit and its device models in the PySpice `circuit`.

        Raises ParameterError if the name is taken, because PySpice would silently replace the other
        subcircuit.
        """
        if self.name.lower() in (str(other).lower() for other in circuit.subcircuit_names):
            raise ParameterError(
                f"the circuit already has a subcircuit {self.name!r}; choose another name"
            )
        circuit.subcircuit(self)
        for name, (kind, values) in self.device_models.items():
            circuit.model(name, kind, **values)


class ReadMemristor(Cell):
    """Emulator while phi is low: memory capacitor and channel. The instance parameter x0 is X in V
    at t = 0.

    Nodes: neuron (S), input (D). Transconductance and leak are left out: the open switch cuts them
    off. With `per_instance` (the cells of a chip) width, length, Vto and capacitance are instance
    parameters too (w, l, vto, c).
    """

    def __init__(
        self,
        parameters: MemristorParameters,
        name: str = "read_memristor",
        nodes: tuple[str, ...] = ("neuron", "input"),
        device_models: DeviceModels | None = None,
        per_instance: bool = False,
    ) -> None:
        channel = parameters.channel_model()
        super().__init__(
            name,
            nodes,
            ({} if per_instance else {"channel": ("nmos", channel)}) | (device_models or {}),
        )
        value: dict[str, float | str] = {
            "c": parameters.capacitance,
            "w": parameters.width,
            "l": parameters.length,
        }
        if per_instance:
            self.parameters.update(value, vto=parameters.threshold_voltage)
            value = {key: f"{{{key}}}" for key in value}
            self.model(f"{name}_channel", "nmos", **channel | {"vto": "{vto}"})
        self.C("memory", "gate", self.gnd, value["c"], raw_spice="ic={x0}")
        # The gate's own charge must start at X too: without ic here the channel would drain the
        # memory at t = 0.
        self.MOSFET(
            "channel",
            "input",
            "gate",
            "neuron",
            self.gnd,
            model=f"{name}_channel",
            w=value["w"],
            l=value["l"],
            raw_spice="ic=0,{x0},0",
        )


class Memristor(ReadMemristor):
    """The whole emulator. Nodes: neuron (S), input (D), phi. Instance parameter x0: the state at t
    = 0 in V.

    Use transients from initial conditions: an operating point finds only the X at which charging by
    K and leak balance. For an I-V curve, ramp the source. `altered_state` changes X(0) of a loaded
    circuit.

    X(0) is the state with the input at 0 V. Let inputs rise from 0 V, if only within a nanosecond,
    because ngspice does not resolve a jump at t = 0. After a jump, a gate whose voltage was below
    the input's is wrong, and stays so: too high by up to a fifth of the input's voltage.

    The channel's bulk is at ground. A terminal below about -0.5 V conducts through its junction to
    the bulk: 617 A from an ideal source at -1 V. The synapse's current is the current on the
    neuron's side. Behind resistors the junction's current changes the states;
    `junction_current=ISOLATED` prevents this.

    The write switch has 1 mohm in the paper, so ngspice rounds X by up to 6 % in each second of a
    write (`rounding`). Use `switch_on=1e3` for writes of tenths of a second, for decay through the
    leak, and for gates much smaller than the paper's.

    With `per_instance`, the write gain is an instance parameter as well (k).
    """

    def __init__(
        self, parameters: MemristorParameters, name: str = "memristor", per_instance: bool = False
    ) -> None:
        write = {
            "vt": parameters.switch_threshold,
            "vh": 0,
            "ron": parameters.switch_on,
            "roff": parameters.switch_off,
        }
        super().__init__(
            parameters, name, ("neuron", "input", "phi"), {"write": ("sw", write)}, per_instance
        )
        if per_instance:
            self.parameters["k"] = parameters.transconductance
        control = ("input", "neuron")
        # the gain of Gcharge can be altered, the expression of a source cannot
        if parameters.curve:
            self.B("product", "product", self.gnd, voltage_expression=parameters.curve.expression())
            control = ("product", self.gnd)
        self.VCCS(
            "charge",
            self.gnd,
            "pump",
            *control,
            transconductance="{k}" if per_instance else parameters.transconductance,
        )
        self.R("leak", "pump", self.gnd, parameters.leak_resistance)
        self.S("write", "pump", "gate", "phi", self.gnd, model=f"{name}_write")


if __name__ == "__main__":
    raise SystemExit("memristor.py simulates nothing: run python -m memristive.commands.loop")
