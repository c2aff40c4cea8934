"""The product in one command: a text becomes a lesson, and every request a row of the ledger.

``PYTHONPATH=backend python -m demo`` from the repository's root. Without ``--live`` it needs no key
and costs nothing: a sandbox on this machine answers, with sentences taken from the text.
``LLM_PROVIDER=anthropic`` does the same on Anthropic's wire format.
"""
