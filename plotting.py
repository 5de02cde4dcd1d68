"""Figures of the scripts beside this file; they stand in `memristive.plotting`."""

from memristive.plotting import *  # noqa: F403
