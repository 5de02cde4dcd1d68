"""Fixture of the tests in this folder: circuits are unloaded after each test."""

import pytest

from memristive.spice.session import temporary_circuits


@pytest.fixture(autouse=True)
def unloaded():
    with temporary_circuits():
        yield
