"""A gate that remembers nothing: a fake vendor's "slow down" makes nobody wait in real time."""

from modules.llm_services.breaker import Breaker
from modules.llm_services.exceptions import LLMError
from modules.llm_services.gate import Gate, Passage
from modules.llm_services.types import Call


class ForgetfulGate(Gate):
    """Lets every request through, whatever the requests before it have met with."""

    async def enter(self, call: Call, seconds: float, failure: LLMError | None = None) -> Passage:
        """Leave to send one request, at once."""
        return await Gate(Breaker(0, 0)).enter(call, seconds, failure)
