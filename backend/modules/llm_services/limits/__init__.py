"""How much may be sent to a model at once and in a minute: configured, learnt, in one process or
shared by many through Redis.
"""

from .headers import heard_in
from .limits import Limits, configured_limits
from .line import Line, Ticket
from .rules import demand
from .shared import SharedLimits

__all__ = ["Limits", "Line", "SharedLimits", "Ticket", "configured_limits", "demand", "heard_in"]
