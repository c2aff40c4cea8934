"""``python -m modules.llm_services.cli``: the same as ``llm-services``."""

from .main import main

main()
