"""What users install: the wheel has what they need and no more, and a bill of materials."""

import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy import check_distribution, sbom
from tests.architecture.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = "import hatchling.build, sys; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", command, str(folder)], cwd=ROOT, check=True)
    return check_distribution.newest_wheel(folder)


def test_the_wheel_has_what_users_need(wheel: Path) -> None:
    """Types, migrations, the licence and the application; no tests, and nobody else's files."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    migrations = {path.name for path in (ROOT / "alembic/versions").glob("*.py")}
    shipped = {Path(name).name for name in names if name.startswith("llm_services_deploy/")}
    assert migrations | {"env.py", "app.py"} <= shipped
    assert {"modules/llm_services/py.typed", "modules/llm_services/public.py"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if Path(name).name.startswith(("test_", "conftest"))]
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"modules", "sandbox", "llm_services_deploy"}


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Every extra for users, and the Pythons that are declared."""
    assert check_distribution.extras_of(wheel) == sorted(
        PROJECT["optional-dependencies"].keys() - {"dev", "docs"}
    )
    pythons = [one for one in PROJECT["classifiers"] if "Python :: 3." in one]
    assert [one.rpartition(".")[2] for one in pythons] == ["11", "12", "13", "14"]
    assert check_distribution.variants(["a", "b"]) == [(), ("a",), ("b",), ("a", "b")]


def test_each_variant_is_tried_on_each_python(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check goes through extras and versions; each gets an environment of its own."""
    said: list[Sequence[str]] = []

    def run(*command: str, cwd: Path | None = None) -> str:
        said.append(command)
        return "fine"

    monkeypatch.setattr(check_distribution, "_run", run)
    check_distribution.main(["--dist", str(wheel.parent), "--python", "3.12", "--python", "3.13"])
    variants = len(check_distribution.extras_of(wheel)) + 2
    assert capsys.readouterr().out.count("fine with") == 2 * variants
    assert len({one[-1] for one in said if one[1] == "venv"}) == 2 * variants
    monkeypatch.undo()
    with pytest.raises(SystemExit, match="no such words"):
        check_distribution._run(sys.executable, "-c", "raise SystemExit('no such words')")
    with pytest.raises(SystemExit, match="make dist"):
        check_distribution.main(["--dist", str(ROOT / "docs")])


def test_the_bill_lists_the_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every package once, with hashes; what users need is told from what we need."""
    target = tmp_path / "new" / "sbom.json"
    sbom.main(["--output", str(target)])
    made = json.loads(target.read_text(encoding="utf-8"))
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = [line for line in lock.splitlines() if line[:1].isalnum()]
    assert len(made["components"]) == len(pins) > 50
    assert all(one["hashes"] for one in made["components"])
    scopes = {one["name"]: one["scope"] for one in made["components"]}
    users = ["openai", "sqlalchemy", "pydantic-core", "psycopg", "redis", "opentelemetry-api"]
    assert {scopes[name] for name in users} == {"required"}
    assert {scopes[name] for name in ("pytest", "ruff", "mkdocs-material")} == {"excluded"}
    refs = [one["bom-ref"] for one in made["components"]]
    assert len(refs) == len(set(refs))
    assert set(made["dependencies"][0]["dependsOn"]) <= set(refs)
    assert f"of {len(pins)}" in capsys.readouterr().out


def test_the_bill_of_a_lock_is_always_the_same() -> None:
    """So that two builds can be compared."""
    lock = "demo-a==1.0 ; python_full_version >= '3.12' \\\n    --hash=sha256:" + "a" * 64
    packages = list(sbom.locked(lock + "\n# a comment\n"))
    assert packages == [sbom.Locked(name="demo-a", version="1.0", hashes=("a" * 64,))]
    project = {**PROJECT, "dependencies": ["not-installed-anywhere>=1"]}
    assert sbom.bill(project, packages) == sbom.bill(project, packages)
