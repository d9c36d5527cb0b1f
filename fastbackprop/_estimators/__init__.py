"""Estimators in scikit-learn's manner; ``fastbackprop.sklearn`` is their public place."""
