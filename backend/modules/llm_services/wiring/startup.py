"""The settings as a process starts with them: whatever is wrong with them is said then, at once."""

import logging
from collections.abc import Callable, Iterator

from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.pricing import load_overrides
from modules.llm_services.providers.factory import provider_faults, provider_names
from modules.llm_services.redaction import load_redactors
from modules.llm_services.roles import role_faults

_LOGGER = logging.getLogger(__package__.rpartition(".")[0])


def configured() -> LLMConfig:
    """The settings of the environment, each of them good and all of them together.

    Raises `LLMConfigurationError` with every fault.
    """
    config = create_llm_config_from_env(_faults)
    if config.log_level is not None:
        _LOGGER.setLevel(config.log_level)
    return config


def _faults(config: LLMConfig) -> Iterator[str]:
    """What no setting can know of the others, and of the files and functions that they name."""
    yield from provider_faults(config)
    yield from role_faults(config, provider_names(config))
    for tenant in config.tenant_roles:
        yield from _tenant_faults(config, tenant)
    prices = config.price_overrides
    if prices is not None:
        yield from _fault("LLM_PRICE_OVERRIDES: ", lambda: load_overrides(prices))
    yield from _fault("", lambda: load_redactors(config.redactors))


def _tenant_faults(config: LLMConfig, tenant: str) -> Iterator[str]:
    shared = set(role_faults(config, provider_names(config)))
    for fault in role_faults(config.for_tenant(tenant), provider_names(config)):
        if fault not in shared:
            yield fault.replace("LLM_ROLES__", f"LLM_TENANT_ROLES__{tenant.upper()}__", 1)


def _fault(variable: str, load: Callable[[], object]) -> Iterator[str]:
    try:
        load()
    except LLMConfigurationError as error:
        yield variable + error.message
