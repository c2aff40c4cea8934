"""Writes what the backend is made of as CycloneDX JSON: ``make sbom``.

From ``requirements.lock`` alone: each package that an installation for users may hold, with its
version and the hashes of its files. What only the extras ``dev`` and ``docs`` bring is in it, too,
with the scope ``excluded``.
Format: https://cyclonedx.org/docs/1.6/json/. Package URLs: https://github.com/package-url/purl-spec.
"""

import argparse
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NOT_FOR_USERS = frozenset({"dev", "docs"})
_PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A package of the lock. ``hashes`` are those of all its files: sdist, and a wheel each."""

    name: str
    version: str
    hashes: tuple[str, ...]


def locked(text: str) -> Iterator[Locked]:
    """The packages of a lock, in its order."""
    for entry in re.split(r"\n(?=\w)", text):
        pinned = _PINNED.match(entry)
        if pinned:
            hashes = tuple(_HASH.findall(entry))
            yield Locked(name=pinned["name"], version=pinned["version"], hashes=hashes)


def for_users(project: Mapping[str, Any]) -> set[str]:
    """The names of what users may install: what the project asks for, and what that asks for, as
    the packages of this environment say.
    """
    asked = [Requirement(line) for line in project["dependencies"]]
    for extra, lines in project["optional-dependencies"].items():
        asked += [] if extra in NOT_FOR_USERS else [Requirement(line) for line in lines]
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while asked:
        one = asked.pop()
        name, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (name, extras) not in seen:
            seen.add((name, extras))
            found.add(name)
            asked += _asked_by(name, extras)
    return found


def _asked_by(name: str, extras: frozenset[str]) -> list[Requirement]:
    try:
        lines = [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:  # for another platform
        return []
    wanted = [{"extra": extra} for extra in (*extras, "")]
    return [
        one for one in lines if not one.marker or any(one.marker.evaluate(env) for env in wanted)
    ]


def bill(project: Mapping[str, Any], packages: Sequence[Locked]) -> dict[str, Any]:
    """The bill of materials. The same lock gives the same bill."""
    users = for_users(project)
    name, version = project["name"], project["version"]
    components = [_component(one, required=one.name in users) for one in packages]
    serial = uuid5(NAMESPACE_URL, json.dumps([name, version, components]))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": components,
        "dependencies": [
            {
                "ref": f"pkg:pypi/{name}@{version}",
                "dependsOn": [_purl(one) for one in packages if one.name in users],
            }
        ],
    }


def _component(one: Locked, *, required: bool) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(one),
        "name": one.name,
        "version": one.version,
        "purl": _purl(one),
        "scope": "required" if required else "excluded",
        "hashes": [{"alg": "SHA-256", "content": content} for content in one.hashes],
    }


def _purl(one: Locked) -> str:
    return f"pkg:pypi/{one.name}@{one.version}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the bill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "sbom.cdx.json")
    options = parser.parse_args(arguments)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    made = bill(project, list(locked(lock)))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    required = sum(one["scope"] == "required" for one in made["components"])
    print(f"{options.output}: {required} packages for users, of {len(made['components'])}")


if __name__ == "__main__":
    main()
