"""What may be stored and logged: text that a database takes, without keys, files and, where it is
asked for, personal data.

``storable`` makes text fit for a database, ``secrets`` and ``binaries`` are always at work where
``plain`` finds that there may be something to do, ``personal`` and what ``LLM_REDACTORS`` names
only when content is kept redacted.
"""

from .binaries import beginning_without_files, without_encoded_files
from .personal import without_personal_data
from .plain import is_plain, traces_of
from .redactors import Redactor, load_redactors
from .secrets import without_known_keys
from .storable import (
    MESSAGE_LIMIT,
    PREVIEW_LIMIT,
    preview,
    safe_error_text,
    shortened,
    storable_json,
    storable_text,
    without_binaries,
    without_secrets,
)

__all__ = [
    "MESSAGE_LIMIT",
    "PREVIEW_LIMIT",
    "Redactor",
    "beginning_without_files",
    "is_plain",
    "load_redactors",
    "preview",
    "safe_error_text",
    "shortened",
    "storable_json",
    "storable_text",
    "traces_of",
    "without_binaries",
    "without_encoded_files",
    "without_known_keys",
    "without_personal_data",
    "without_secrets",
]
