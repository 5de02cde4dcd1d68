"""Circuits are unloaded after each test."""

from tests.network.conftest import unloaded

__all__ = ["unloaded"]
