"""Features (real numbers) as input levels from 0 to 1, scaled by the training data.

A level is a share of the input voltage. With complements each feature v also drives a second row
with 1 - v. Then the voltages at the rows have the same sum for every sample, so the sum of the
currents and the energy of a read hardly depend on the sample. The price is twice the rows. Without
complements a sample of small values gives small currents, and neurons fire late or never.
"""

from dataclasses import dataclass

import numpy as np

from memristive.network.inputs import warn_of_clipped

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
    def of(cls, features: np.ndarray, complement: bool = True) -> "FeatureEncoding":
        """Return the encoding that scales each of the `features` (samples x features) to the range
        from 0 to 1.
        """
        return cls(features.min(axis=0), np.ptp(features, axis=0), complement)

    def levels(self, features: np.ndarray) -> np.ndarray:
        """Return the levels (samples x rows) of `features` (samples x features), cut to the range
        from 0 to 1.

        A feature that is constant in the training data becomes 0.5. Pixels of images share one
        scale; a warning counts those beyond it.
        """
        if not self.complement and np.ptp(self.low) == np.ptp(self.span) == 0 < self.span[0]:
            warn_of_clipped(features, (float(self.low[0]), float(self.low[0] + self.span[0])))
        span = np.where(self.span > 0, self.span, 1.0)
        scaled = np.where(self.span > 0, (features - self.low) / span, 0.5)
        levels = np.clip(scaled, 0.0, 1.0)
        return np.hstack([levels, 1.0 - levels]) if self.complement else levels
