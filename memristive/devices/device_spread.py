"""Several measured devices of one kind: their mean curves and noises, and how much they differ.

Each device is fitted alone. A fitted value differs from the mean of the kind for two reasons: the
device differs, and its fit has an error. The two are independent, so their variances add. The
variance of the fitted values, less the mean square of their errors, is therefore the variance of
the devices (R. C. Paule and J. Mandel, J. Res. NBS 87, 377, 1982, with equal weights). Without the
subtraction, devices that are all alike would seem to differ by the errors of their fits.

These errors come from repeats: pulses of the fitted device are simulated with its noises, in the
order of the measurement, and fitted again. So they contain what formulas leave out, such as the
error of a range whose ends few readings show.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import chdtri

from memristive.devices.curve_fit import PulseFit, fit_pulses, pulsed
from memristive.devices.measured_device import MeasuredDevice
from memristive.parameters import Fields, ParameterError

REPEATS, LEAST_REPEATS = 5, 3  # simulated measurements of each device; fewest that must be fitted
ONE_SIGMA = 0.1587  # probability beyond one standard deviation, on one side


@dataclass(frozen=True)
class Readings:
    """Readings of one device in the order of measurement, as `fit_pulses` takes them, the `seed` of
    the simulated repeats, and the row of each reading in its file.
    """

    name: str
    conductance: np.ndarray
    direction: np.ndarray
    pulses: np.ndarray
    seed: int = 0
    rows: np.ndarray | None = None


@dataclass(frozen=True)
class FittedDevice:
    """One device of several: its fit, and the fits of simulated measurements of the fitted
    device.
    """

    name: str
    fit: PulseFit
    repeats: list[PulseFit]

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of `values_of`, by name: standard deviations over the repeats."""
        values = [values_of(repeat, self.fit.device) for repeat in self.repeats]
        return {name: float(np.std([one[name] for one in values], ddof=1)) for name in values[0]}


class Spread(NamedTuple):
    """Mean of a value over devices, its standard deviation from device to device, and the standard
    errors of both.
    """

    mean: float
    mean_error: float
    spread: float
    spread_error: float


@dataclass(frozen=True)
class DevicesFit:
    """Kind of device that was fitted to several devices.

    Parameters
    ----------
    device : MeasuredDevice
        Mean curves and noises, with the spreads from device to device.
    spreads : dict
        A `Spread` for each of the `values_of` a device. The spreads of range, gain and noises are
        relative to their means.
    errors : dict
        Standard errors of `up` and `down` (arrays).
    devices : list of FittedDevice
    """

    device: MeasuredDevice
    spreads: dict[str, Spread]
    errors: Fields
    devices: list[FittedDevice]


def fit_device(readings: Readings, repeats: int = REPEATS) -> FittedDevice:
    """Fit one of several devices. Then simulate measurements of the fitted device, as many as
    `repeats`, and fit these, too.

    Raises
    ------
    ParameterError
        The readings, or most of the simulated measurements, cannot be fitted. The message names the
        device.
    """
    order = (readings.direction, readings.name, readings.pulses)
    try:
        fit = fit_pulses(readings.conductance, *order)
    except ParameterError as error:
        raise ParameterError(f"device {readings.name}: {error}") from None
    used = (fit.direction, readings.name, fit.pulses)
    fits, rng = list[PulseFit](), np.random.default_rng(readings.seed)
    for _ in range(repeats):
        try:
            again = simulated(fit.device, fit.state, fit.direction, fit.pulses, rng)
            fits.append(fit_pulses(again, *used, equal_noises=fit.equal_noises))
        except ParameterError:  # by chance, of a device with few readings
            continue
    if len(fits) < LEAST_REPEATS:
        raise ParameterError(
            f"device {readings.name}: too few readings to find the errors of its fit: only "
            f"{len(fits)} of {repeats} simulated measurements can be fitted; measure more "
            "sweeps, or leave this device out"
        )
    return FittedDevice(readings.name, fit, fits)


def simulated(
    device: MeasuredDevice,
    starts: np.ndarray,
    direction: np.ndarray,
    pulses: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return simulated readings in S of a device.

    Parameters
    ----------
    device : MeasuredDevice
    starts : array, readings
        x at the readings that start a sweep; the values at other readings are ignored.
    direction, pulses : arrays, readings
        Direction of the pulses before each reading (1 up, -1 down, 0 at the start of a sweep), and
        their number.
    rng : numpy.random.Generator
    """
    x = np.clip(np.asarray(starts, float), 0, 1)
    pulsed(device, x[:, None], direction, pulses, np.ones(1), rng)
    return device.conductance(x + device.read_noise * rng.standard_normal(len(x)))


def combine_devices(devices: Sequence[FittedDevice], name: str, **more: Any) -> DevicesFit:
    """Return mean curves and noises of several fitted `devices`, with the spreads from device to
    device.

    Parameters
    ----------
    devices : sequence of FittedDevice
    name : str
    **more
        Other fields of `MeasuredDevice`.

    Raises
    ------
    ParameterError
        There is only one device.
    """
    count, fitted = len(devices), [one.fit.device for one in devices]
    if count < 2:
        raise ParameterError(
            f"column 'device' names {count} device, and a spread needs at least two: leave the "
            "column out to fit one device"
        )
    curves = {key: np.array([getattr(one, key) for one in fitted]) for key in ("up", "down")}
    up, down = (tuple(rows.mean(axis=0).tolist()) for rows in curves.values())
    mean = MeasuredDevice(name, up=up, down=down)
    values, errors = [values_of(one.fit, mean) for one in devices], [one.errors for one in devices]
    spreads = {
        key: between(*(np.array([row[key] for row in rows]) for rows in (values, errors)))
        for key in values[0]
    }
    for key in ("range", "gain", "write_noise", "read_noise"):
        size, size_error, *spread = spreads[key]
        spreads[key] = Spread(size, size_error, *(one / size for one in spread))

    low = max(0.0, spreads["lowest"].mean * spreads["range"].mean)
    device = dataclasses.replace(
        mean,
        lowest_conductance=low,
        highest_conductance=low + spreads["range"].mean,
        write_noise=spreads["write_noise"].mean,
        read_noise=spreads["read_noise"].mean,
        spread=spreads["gain"].spread,
        range_spread=spreads["range"].spread,
        lowest_spread=spreads["lowest"].spread,
        write_noise_spread=spreads["write_noise"].spread,
        read_noise_spread=spreads["read_noise"].spread,
        **more,
    )
    return DevicesFit(
        device,
        spreads,
        {key: rows.std(axis=0, ddof=1) / np.sqrt(count) for key, rows in curves.items()},
        list(devices),
    )


def between(values: np.ndarray, errors: np.ndarray) -> Spread:
    """Return the mean of the `values` of several devices, and their spread from device to device.
    `errors` are the standard errors of the values.

    The variance of the values follows a chi-squared distribution. Its quantiles at one standard
    deviation give a lower and an upper bound of the spread. Half the distance of the bounds is the
    standard error of the spread.
    """
    count, variance, noise = len(values), values.var(ddof=1), np.mean(errors**2)
    factors = (count - 1) / chdtri(count - 1, [ONE_SIGMA, 1 - ONE_SIGMA])
    below, spread, above = np.sqrt(
        np.maximum(variance * np.array([factors[0], 1.0, factors[1]]) - noise, 0.0)
    )
    # if the errors explain the variance, it is at least theirs
    least = np.sqrt(noise * max(factors[1] - 1, 0.0)) / 2
    error = max((above - below) / 2, least)
    return Spread(*map(float, (values.mean(), np.sqrt(variance / count), spread, error)))


def values_of(fit: PulseFit, mean: MeasuredDevice) -> dict[str, float]:
    """Return the values of a device that may differ from device to device.

    These are the range in S, lowest conductance and noises as shares of the range, gain, and gain
    up over gain down. A gain is the ratio of this device's steps to the steps of the device `mean`.
    """
    device = fit.device
    width = device.highest_conductance - device.lowest_conductance
    products, squares = np.zeros((2, 2))
    for k, up in enumerate((True, False)):
        x = fit.starts(up)
        products[k] = device.step(x, up) @ mean.step(x, up)
        squares[k] = mean.step(x, up) @ mean.step(x, up)
    up, down = products / squares
    return {
        "range": width,
        "lowest": device.lowest_conductance / width,
        "gain": products.sum() / squares.sum(),
        "up_over_down": up / down,
        "write_noise": device.write_noise,
        "read_noise": device.read_noise,
    }
