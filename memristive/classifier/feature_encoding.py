"""Real features as input levels from 0 to 1, scaled by the training data.

A level is a share of the input voltage. With complements each feature v also drives a second row with 1 - v. Then every sample
drives its rows with the same total, so column currents and the energy of a read do not depend on the sample. The price is twice
the rows. Without complements a sample of small values drives little, and its neurons fire late or never.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COMPLEMENT, PLAIN = "complement", "plain"
ENCODINGS = (COMPLEMENT, PLAIN)


@dataclass(frozen=True)
class FeatureEncoding:
    """Scaling of features to levels.

    Parameters
    ----------
    low : array, features
        Smallest values in the training data.
    span : array, features
        Range of the training data.
    complement : bool
        Add the row 1 - v for each feature v.
    """

    low: np.ndarray
    span: np.ndarray
    complement: bool = True

    @classmethod
    def of(cls, features: np.ndarray, complement: bool = True) -> FeatureEncoding:
        """Return the encoding that brings `features` (samples x features) to 0..1."""
        low, high = features.min(axis=0), features.max(axis=0)
        return cls(low, 2 * (high / 2 - low / 2), complement)  # halves: the range itself may exceed the largest float

    def levels(self, features: np.ndarray) -> np.ndarray:
        """Return levels (samples x rows) of `features` (samples x features); values outside the training range are clipped.

        A feature that is constant in the training data becomes 0.5.
        """
        levels = np.clip(self._scaled(features), 0.0, 1.0)
        return np.hstack([levels, 1.0 - levels]) if self.complement else levels

    def clipped(self, features: np.ndarray) -> float:
        """Return the share of `features` (samples x features) that lie outside the training data's range."""
        scaled, outside = self._scaled(features), (features < self.low) | (features > self.low + self.span)
        return float(np.mean(np.where(self._constant, outside, (scaled < 0) | (scaled > 1))))

    @property
    def _constant(self) -> np.ndarray:
        """Features with a range too small to divide by."""
        return self.span <= np.finfo(float).tiny

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        usable = np.isfinite(self.span) & ~self._constant
        with np.errstate(over="ignore"):
            return np.where(usable, (features - self.low) / np.where(usable, self.span, 1.0), 0.5)
