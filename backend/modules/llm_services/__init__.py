"""Typed calls to language models, and one trustworthy ledger row for each. Import ``.public``."""
