"""What calls look like from outside: OpenTelemetry's spans and metrics, and the log.

``telemetry`` is the door, ``observation`` one call's span, ``signals`` the instruments, ``log``
the event of each call; ``attributes`` and ``content`` turn rows into what is said, ``names`` says
what it is called.
"""

from .log import log_call
from .telemetry import Telemetry

__all__ = ["Telemetry", "log_call"]
