"""For the tests of modules that call models: a fake that keeps the real thing's promises.

::

    from modules.llm_services.testing import FakeLLMServices

    fake = FakeLLMServices()
    fake.answers("Paris.", when="capital of France")
    response, request_id = await fake.generate_response(messages)
    fake.assert_called(when="capital of France", feature="quiz", times=1)

``pytest_plugin`` beside this has it as the fixture ``fake_llm``. Product code does not import this
package; import-linter holds that.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cassettes import cassette_from
    from .fake import FakeLLMServices
    from .recorded import RecordedCall
    from .script import UnscriptedError

__all__ = ["FakeLLMServices", "RecordedCall", "UnscriptedError", "cassette_from"]


def __getattr__(name: str) -> Any:
    """Loaded on first use: pytest imports this package in every run, for the plugin in it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import kit

    return getattr(kit, name)
