"""The site's reference: every public name has a page, which names its users and its fields."""

import memristive
from memristive.network.kernel_writes import Counts
from memristive.network.layer import PulseWrites
from tools.reference import collect, field_lines


def test_pages_name_their_users():
    reference = collect()
    constants = {"READING"}  # has no page in a module
    front = {f"memristive.{name}" for name in memristive.__all__ if name not in constants}
    assert front <= set(reference.homes.values())
    users = {name: {user.title for user in users} for name, users in reference.users.items()}
    assert "studies.device_fit" in users["memristive.devices.curve_fit.fit_pulses"]  # an import
    assert "A classifier for your data" in users["memristive.MemristiveClassifier"]  # a snippet
    assert "Ten minutes with memristors that learn" in users["datasets.xpue"]  # a notebook
    assert "Gallery" in users["studies.half_select"]  # a command


def test_fields_have_units_and_meanings():
    width = field_lines(PulseWrites)
    assert "of a pulse; 1e-15 to 10 s" in width[width.index("width : float, default 1e-05") + 1]
    counts = field_lines(Counts)  # comments at the end of a line, and above one
    assert any("rows x columns" in line for line in counts)
    assert any("pulses x conductance in S" in line for line in counts)
