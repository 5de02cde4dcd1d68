"""Multilayer networks of measured devices: the design, the pulses and the cells that a device's emulator needs."""

from typing import Any

from memristive.devices.measured_device import Emulator
from memristive.network.closed_form import STILL_GAIN
from memristive.network.layer import PulseWrites
from memristive.network.setup import LayerDesign
from memristive.network.two_terminal import HALF, ONE_TRANSISTOR
from memristive.spice.parameters import ParameterError
from snn_circuit import NetworkParameters, NeuronParameters

MEASURED_NEURON = NeuronParameters(amplifier_gain=STILL_GAIN)  # default; a larger gain, as reads are at a low voltage
THIRD = "v/3"  # a third scheme of writing, in closed form only: unselected cells see a third of the voltage
STAGE_SWING = 8.0  # V of the summing stages with every cell at the middle of its range, 16 V with every cell at its upper end


def measured_parameters(emulator: Emulator, neuron: NeuronParameters | None = None) -> NetworkParameters:
    """Return the parameters of a network whose cells behave as the `emulator` of a device."""
    return NetworkParameters(emulator.memristor, neuron or MEASURED_NEURON)


def measured_design(emulator: Emulator, pairs: int, gain: float, neuron: NeuronParameters | None = None,
                    **more: Any) -> LayerDesign:
    """Return the design of layers of measured devices.

    Reads are at the device's read voltage, writes at +1 V and -1 V. The device's balance is the weight 0, where cells start and a
    reference column stays.

    Parameters
    ----------
    emulator : Emulator
    pairs : int
        Differential pairs of a synapse; 0: single cells, and a reference column.
    gain : float
        Drive, in thresholds, of a full pixel through a synapse of weight 1, which is the whole range of conductance.
    neuron : NeuronParameters, optional
    **more
        Other fields of `LayerDesign`.
    """
    window, read_voltage = emulator.high - emulator.low, emulator.device.read_voltage
    threshold = (neuron or MEASURED_NEURON).threshold
    transresistance = gain * threshold / (emulator.memristor.gain * window * read_voltage * max(1, pairs))
    rest = float(emulator.state(emulator.device.balance))
    reference, middle = (state - emulator.memristor.threshold_voltage for state in (rest, float(emulator.state(0.5))))
    return LayerDesign(reference_state=rest, transresistance=transresistance,
                       stage_swing=STAGE_SWING * reference / middle, row_voltage=read_voltage, write_voltage=1.0, pairs=pairs,
                       back_voltage=read_voltage, read_curve=emulator.device.read_curve, **more)


def measured_pulses(emulator: Emulator, whole: bool = True, noise: bool = True, scheme: str = ONE_TRANSISTOR) -> PulseWrites:
    """Return the pulses that write the device of an `emulator`.

    Parameters
    ----------
    emulator : Emulator
    whole : bool
        True: whole pulses, with fractions rounded at random. False: pulses of any width.
    noise : bool
        True: include the device's write and read noise.
    scheme : str
        "1t1r": an access switch in series with each device. "v/2", "v/3": passive arrays, in which a write also moves cells that
        see a half or a third of its voltage (`kernel.disturb`).

    Raises
    ------
    ParameterError
        There is no such scheme.
    """
    device, window = emulator.device, emulator.high - emulator.low
    shares = {ONE_TRANSISTOR: (0.0, 0.0), HALF: (device.half_up, device.half_down), THIRD: (device.third_up, device.third_down)}
    if scheme not in shares:
        raise ParameterError(f"scheme must be one of {', '.join(shares)}, got {scheme!r}")
    return PulseWrites(device.mean_step * window, emulator.pulse, device.write_noise * window * noise,
                       device.read_noise * window * noise, int(whole), *shares[scheme], int(scheme == THIRD))
