"""What importing costs, beyond what an application has loaded anyway: processor time and modules.

    PYTHONPATH=backend:. python -m benchmarks.imports [rounds]

Each import in a process of its own, one after the other in every round, so that all share the
machine's luck; medians of 15 rounds. Peers are those whose environments `make bench` has made: they
are measured beyond pydantic, which all of them use.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.calls.environments import FOLDER, ROOT

ROUNDS = 15
APPLICATION = "import fastapi, pydantic, sqlalchemy.orm"
PUBLIC = "import modules.llm_services.public"
ROAD = "import modules.llm_services.service, modules.llm_services.config"
PEERS = {
    "litellm": "import litellm",
    "pydantic_ai": "import pydantic_ai, pydantic_ai.models.openai",
    "langchain": "import langchain_openai",
    "anyllm": "import any_llm",
}
MEASURE = """
import sys, time
{beyond}
before, began = len(sys.modules), time.process_time()
{code}
print((time.process_time() - began) * 1000, len(sys.modules) - before)
"""


@dataclass
class Import:
    """An import and what it is measured beyond; milliseconds and modules of each round."""

    name: str
    beyond: str
    code: str
    python: str = sys.executable
    cost: list[float] = field(default_factory=list)
    modules: list[int] = field(default_factory=list)

    def measure(self) -> None:
        """One round."""
        code = MEASURE.format(beyond=self.beyond, code=self.code)
        done = subprocess.run(
            [self.python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        ms, modules = done.stdout.split()
        self.cost.append(float(ms))
        self.modules.append(int(modules))

    def __str__(self) -> str:
        return f"| {self.name} | {median(self.cost):.0f} | {median(self.modules):.0f} |"


def imports() -> Iterator[Import]:
    """Ours, and the peers that are installed."""
    yield Import("fastapi, pydantic, sqlalchemy.orm", "", APPLICATION)
    yield Import("modules.llm_services.public", APPLICATION, PUBLIC)
    yield Import("the road, by the first call", f"{APPLICATION}\n{PUBLIC}", ROAD)
    yield Import("openai", APPLICATION, "import openai; openai.AsyncOpenAI")
    yield Import("instructor", APPLICATION, "import instructor; instructor.from_openai")
    for name, code in PEERS.items():
        python = FOLDER / name / "bin" / "python"
        if python.exists():
            yield Import(name, "import pydantic", code, str(python))


def main() -> None:
    """Measure in rounds and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    asked = tuple(imports())
    for number in range(rounds + 1):
        for one in asked:
            one.measure()
            if not number:  # compiles what it imports
                one.cost.clear()
    print("| import | CPU ms | modules |\n|---|---:|---:|")
    print(*asked, sep="\n")


if __name__ == "__main__":
    main()
