"""Makes lessons out of source material: the first sibling that stands on `llm_services`."""
