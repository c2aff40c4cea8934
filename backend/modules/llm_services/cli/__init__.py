"""The command line ``llm-services``: what operators and curious people ask of the module."""
