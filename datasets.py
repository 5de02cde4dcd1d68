"""Datasets of the scripts beside this file; they stand in `memristive.datasets`."""

from memristive.datasets import *  # noqa: F403
