"""What settings are made of: values, cleaned and checked, and groups that belong together."""

from .budgets import Budget, BudgetSettings
from .groups import (
    CacheSettings,
    GateSettings,
    LeaseSettings,
    PayloadSettings,
    TelemetrySettings,
)
from .values import (
    ApiFormat,
    ApiKey,
    BaseUrl,
    Limits,
    LimitSettings,
    LogLevel,
    OwnFolder,
    Providers,
    ProviderSettings,
    ReadableFile,
    RedisUrl,
    Roles,
    TenantRoles,
    WritableFolder,
    also_named,
    state_folder,
)
from .vendors import VendorSettings

__all__ = [
    "ApiFormat",
    "ApiKey",
    "BaseUrl",
    "Budget",
    "BudgetSettings",
    "CacheSettings",
    "GateSettings",
    "LeaseSettings",
    "LimitSettings",
    "Limits",
    "LogLevel",
    "OwnFolder",
    "PayloadSettings",
    "ProviderSettings",
    "Providers",
    "ReadableFile",
    "RedisUrl",
    "Roles",
    "TelemetrySettings",
    "TenantRoles",
    "VendorSettings",
    "WritableFolder",
    "also_named",
    "state_folder",
]
