"""Whether the wheel holds what it should, and works where there is nothing else.

usage: wheel.py SCHEMAS WHEEL  (by an interpreter in which nothing but the wheel is installed)
"""

import sys
import zipfile
from importlib.metadata import distributions
from importlib.resources import files
from pathlib import Path

import quorate


def main() -> None:
    schemas, wheel = map(Path, sys.argv[1:])
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"quorate/schemas/{schema.name}" for schema in schemas.glob("*.avsc")}
    assert len(expected) == 15, expected
    expected |= {"quorate/py.typed", "quorate/agent.py", "quorate/kafka.py"}
    assert expected <= names, expected - names
    assert any(name.endswith("licenses/LICENSE") for name in names), names
    held = {name for name in names if name.startswith("quorate/")}
    strange = [name for name in held if not name.endswith((".py", ".avsc", "/py.typed"))]
    strange += [name for name in names if "released" in name or "test" in name]
    assert not strange, strange
    for schema in schemas.glob("*.avsc"):
        held = files("quorate").joinpath("schemas").joinpath(schema.name).read_bytes()
        assert held == schema.read_bytes(), schema
    others = {one.metadata["Name"] for one in distributions()} - {"pip", "setuptools", "quorate"}
    assert not others, others
    assert quorate.endorse(probability=0.95).confidence == 0.9
    assert set(quorate.__all__) <= set(dir(quorate))


main()
