"""Which model is asked first, and which one next."""

from .falling_back import each_model, fitting, following, seconds_for, with_fallback
from .ordering import Router

__all__ = ["Router", "each_model", "fitting", "following", "seconds_for", "with_fallback"]
