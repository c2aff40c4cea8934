"""What do fifty answers of 20 MB at once take, and what is left of them?

    PYTHONPATH=backend:. python benchmarks/large_answers.py [answers]

Then the same for an answer of 200 MB that comes packed as 200 kB. Callers look at the text and let
it go. Exits with 1 when the memory of the process ever was above 2.5 GB (for 50 answers), when
100 MB more than before stay behind, or when the bomb is not refused. The vendor is a process of
its own.
"""

import asyncio
import ctypes
import gc
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.large_vendor import MB, TEXTS, serving
from modules.llm_services.public import (
    LLMBadResponseError,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)
from tests.support.ledger import rows
from tests.support.migrations import upgrade

PEAK, LEFT = 2_500, 100  # MB
ASKED = [LLMMessageDTO(role="user", content="Where does sand go?")]


def memory(name: str) -> int:
    """Megabytes of this process: ``VmRSS`` now, ``VmHWM`` at most so far."""
    said = Path("/proc/self/status").read_text()
    [line] = [line for line in said.splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024 // MB


async def ask(llm: LLMServicesProvider) -> int:
    """One answer; how long it is."""
    response, _ = await llm.generate_response(ASKED, model="openai:novel", timeout=300)
    return len(response.content)


async def told(llm: LLMServicesProvider, answers: int) -> list[str]:
    """Make the calls; what is wrong."""
    before = memory("VmRSS")
    lengths = await asyncio.gather(*(ask(llm) for _ in range(answers)))
    gc.collect()
    kept = memory("VmRSS") - before
    ctypes.CDLL(None).malloc_trim(0)
    left = memory("VmRSS") - before
    print(
        f"{answers} answers of 20 MB: at most {memory('VmHWM')} MB; {left} MB more than before are "
        f"in use, {kept - left} MB are the allocator's"
    )
    checks = {
        "an answer is not whole": set(lengths) == {len(TEXTS["novel"])},
        f"the memory was above {PEAK} MB": memory("VmHWM") <= PEAK,
        f"{left} MB stay behind": left <= LEFT,
        "the bomb was taken": await is_refused(llm),
    }
    return [said for said, fine in checks.items() if not fine]


async def is_refused(llm: LLMServicesProvider) -> bool:
    """Whether an answer over the limit is an error."""
    try:
        await llm.generate_response(ASKED, model="openai:bomb")
    except LLMBadResponseError as error:
        print(f"the bomb: {error.message}; {memory('VmRSS')} MB")
        return "over the limit" in error.message
    return False


async def run(answers: int) -> list[str]:
    """The whole story; what is wrong."""
    async with open_llm_services() as llm:
        await llm.generate_response(ASKED, model="openai:short")
        wrong = await told(llm, answers)
    kept = sorted(row["status"] for row in rows())
    if kept != ["completed"] * (answers + 1) + ["failed"]:
        wrong.append(f"the rows are {kept}")
    return wrong


def main(answers: int) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder, serving() as vendor:
        url = f"sqlite:///{folder}/answers.db"
        os.environ |= {"DATABASE_URL": url, "LLM_SPOOL_DIR": f"{folder}/spool"}
        os.environ |= {"OPENAI_API_KEY": "sk-sandbox", "OPENAI_BASE_URL": vendor}
        os.environ |= {"LLM_WRITE_TIMEOUT": "30"}
        upgrade(url)
        wrong = asyncio.run(run(answers))
    print("; ".join(wrong) or "all is as it should be")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
