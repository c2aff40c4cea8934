"""Functions and Pydantic models as tools: described for a model, called for it.

``describing`` writes the spec of a function or model, ``docstrings`` finds what its docstring says
of it, ``calling`` runs what a model asked for, ``loop`` keeps the state of a run of rounds.
"""
