"""Roles whose models are to be shut down: told at start, and in the health report."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Set
from datetime import date
from typing import TYPE_CHECKING

from modules.llm_services.retirements import retirement_of
from modules.llm_services.roles import DEFAULT_ROLES, resolve_model
from modules.llm_services.types import Candidate
from modules.llm_services.types.health import RetiringModel

if TYPE_CHECKING:
    from modules.llm_services.config import LLMConfig

logger = logging.getLogger(__name__)

_OURS_SOON = 30  # days: our own defaults are ours to change, until that is late


def retiring_models(
    config: LLMConfig, providers: Set[str], today: date
) -> tuple[RetiringModel, ...]:
    """The models of roles, everybody's and tenants' own, whose end is announced; soonest first."""
    shared = dict.fromkeys((*DEFAULT_ROLES, *config.roles))
    found = list(_retiring(config, providers, shared, today))
    for tenant, roles in config.tenant_roles.items():
        own = config.for_tenant(tenant)
        found += (
            one.model_copy(update={"tenant": tenant})
            for one in _retiring(own, providers, roles, today)
        )
    return tuple(sorted(found, key=lambda one: (one.day, one.role, one.tenant or "")))


def _retiring(
    config: LLMConfig, providers: Set[str], roles: Iterable[str], today: date
) -> Iterator[RetiringModel]:
    for role in roles:
        choice = resolve_model(config, providers, role)
        first = Candidate(provider=choice.provider, model=choice.model)
        for one in (first, *choice.others):
            end = retirement_of(one.provider, one.model)
            if end is not None:
                yield RetiringModel(
                    role=role,
                    provider=one.provider,
                    model=one.model,
                    day=end.day,
                    days_left=(end.day - today).days,
                    instead=end.instead,
                )


def warn_about_retiring(config: LLMConfig, providers: Set[str], today: date) -> None:
    """A line in the log for each role that whoever runs this should change."""
    for one in retiring_models(config, providers, today):
        is_default = one.tenant is None and one.role not in config.roles
        if not is_default or one.days_left <= _OURS_SOON:
            logger.warning(
                "the role %r%s stands for %s:%s, which is shut down on %s%s",
                one.role,
                f" of tenant {one.tenant!r}" if one.tenant else "",
                one.provider,
                one.model,
                one.day,
                f"; its vendor names {one.instead} instead" if one.instead else "",
            )
