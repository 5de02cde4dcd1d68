"""Devices by the field's law (Chen, Peng, Yu 2018)."""

import numpy as np

from memristive.devices.measured_device import MeasuredDevice


def device_by_law(pulses, a, **more):
    """Return a device that takes `pulses` through the range in both directions. After a share p of
    a sweep, x = (1 - exp(-p / a)) / (1 - exp(-1 / a)).
    """
    first = np.expm1(-1 / a / pulses) / np.expm1(-1 / a)
    steps = float(first), float(first * np.exp(-1 / a))
    return MeasuredDevice(up=steps, down=steps[::-1], **more)
