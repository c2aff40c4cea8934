"""Measurements: what tests must not assert, and what a figure in the documents comes from."""
