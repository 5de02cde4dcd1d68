"""What no memristor is made of: parameters beyond what ngspice or the closed form follows, and what is no name."""

import pytest

from memristive.spice.parameters import ParameterError
from memristor import MemristorChain, MemristorParameters, check_phi


@pytest.mark.parametrize(("name", "least"), [("switch_on", 1e-4), ("switch_off", 1e16)])
def test_switches_that_ngspice_would_not_follow_are_refused(name, least):
    """Closed ones of less round writes by millivolts; open ones let through what reads do not know of."""
    leaky = {"leak_resistance": 1e6}
    assert getattr(MemristorParameters(**leaky, **{name: least}), name) == least
    with pytest.raises(ParameterError, match=f"^{name} must be "):
        MemristorParameters(**leaky, **{name: 0.9 * least})


def test_phi_that_only_reaches_the_switchs_threshold_opens_nothing():
    check_phi(0.501, MemristorParameters())
    with pytest.raises(ParameterError, match=r"nothing is ever written, got 0\.5 V for 0\.5 V"):
        check_phi(0.5, MemristorParameters())


def test_chain_of_a_device_instead_of_its_name_is_refused():
    with pytest.raises(ParameterError, match=r"^memristor must be a subcircuit's name, .* got MemristorParameters"):
        MemristorChain(2, MemristorParameters())
