"""The one file of this module that others import.

::

    from modules.llm_usage.public import create_usage_router

    app.include_router(create_usage_router(guard=signed_in_operator))

``signed_in_operator`` is the application's own dependency: it raises for whoever may not look.
"""

from .routes import create_usage_router

__all__ = ["create_usage_router"]
