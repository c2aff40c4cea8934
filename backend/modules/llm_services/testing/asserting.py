"""Questions that tests ask about the calls that came."""

from typing import Unpack

from .recorded import Conditions, RecordedCall, check_conditions, fits
from .script import Script

_SHOWN = 20


class Assertions:
    """The calls that reached the fake vendor. What was refused before that is none."""

    _script: Script

    @property
    def calls(self) -> list[RecordedCall]:
        """All of them, in order."""
        return list(self._script.calls)

    @property
    def last(self) -> RecordedCall:
        """The latest. Raises ``AssertionError`` when there is none."""
        assert self._script.calls, "no call reached the fake"  # noqa: S101 - what this is for
        return self._script.calls[-1]

    def calls_of(self, **conditions: Unpack[Conditions]) -> list[RecordedCall]:
        """Those that fit."""
        check_conditions(conditions)
        return [call for call in self._script.calls if fits(call, conditions)]

    def assert_called(
        self, *, times: int | None = None, **conditions: Unpack[Conditions]
    ) -> RecordedCall:
        """There were calls that fit, as many as ``times`` when it is given; the last of them."""
        found = self.calls_of(**conditions)
        if not found or times not in {None, len(found)}:
            wanted = "a call" if times is None else f"{times} calls"
            raise AssertionError(
                f"{wanted} expected with {_told(conditions)}, {len(found)} found; {self._listed()}"
            )
        return found[-1]

    def assert_not_called(self, **conditions: Unpack[Conditions]) -> None:
        """There was no call that fits."""
        found = self.calls_of(**conditions)
        if found:
            raise AssertionError(
                f"no call expected with {_told(conditions)}, {len(found)} found; {self._listed()}"
            )

    def _listed(self) -> str:
        calls = self._script.calls
        lines = [f"  {call.summary}" for call in calls[-_SHOWN:]]
        return "\n".join(["the calls were:", *lines]) if calls else "there were no calls"


def _told(conditions: Conditions) -> str:
    return ", ".join(f"{n}={value!r}" for n, value in conditions.items()) or "no conditions"
