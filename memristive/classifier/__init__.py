"""Memristive network as a scikit-learn classifier."""

from memristive.classifier.estimator import MemristiveClassifier

__all__ = ["MemristiveClassifier"]
