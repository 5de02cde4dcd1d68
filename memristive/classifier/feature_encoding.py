"""Real features as input levels: scaled to 0..1 by the training data, each beside its complement.

A level is a share of the input voltage, so it cannot leave 0..1: what lies outside the training data's range is clipped, and
`clipped` tells how much that was. With complements every sample drives its rows by the same total: column currents, and with them
the stages' feedback and the energy of a read, do not depend on the sample, at the price of twice the rows and of the energy of
a row at full level for each feature. Without them a sample of small values drives little, and its neurons fire late or never;
where classes differ by how large all their features are together, learning may then end at one class for everything (six of ten
random tables of 20 and 30 features).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COMPLEMENT, PLAIN = "complement", "plain"
ENCODINGS = (COMPLEMENT, PLAIN)


@dataclass(frozen=True)
class FeatureEncoding:
    """Levels of features: `low` and `span` (features) are their range in the training data."""

    low: np.ndarray
    span: np.ndarray
    complement: bool = True

    @classmethod
    def of(cls, features: np.ndarray, complement: bool = True) -> FeatureEncoding:
        """The encoding that brings `features` (samples x features) to 0..1."""
        # Halves, since the range of values near the largest float is none.
        low, high = features.min(axis=0), features.max(axis=0)
        return cls(low, 2 * (high / 2 - low / 2), complement)

    def levels(self, features: np.ndarray) -> np.ndarray:
        """Input levels 0 to 1: samples x features, or twice as many with the complements. Features that stood still are 0.5."""
        levels = np.clip(self._scaled(features), 0.0, 1.0)
        return np.hstack([levels, 1.0 - levels]) if self.complement else levels

    def clipped(self, features: np.ndarray) -> float:
        """Share of `features` (samples x features) that lie outside the training data's range."""
        scaled, moved = self._scaled(features), (features < self.low) | (features > self.low + self.span)
        return float(np.mean(np.where(self._still, moved, (scaled < 0) | (scaled > 1))))

    @property
    def _still(self) -> np.ndarray:
        """Which features stood still in training, as far as floats can divide by their range."""
        return self.span <= np.finfo(float).tiny

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        usable = np.isfinite(self.span) & ~self._still
        with np.errstate(over="ignore"):
            return np.where(usable, (features - self.low) / np.where(usable, self.span, 1.0), 0.5)
