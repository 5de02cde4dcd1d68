"""Measured synapses in the emulator: update law, presets, curve fitting."""
