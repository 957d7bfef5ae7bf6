"""Style that a machine can see: sizes, names, and that each word is said in one place."""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from shared.contracts.topics import TOPICS

ROOT = Path(__file__).parents[2]
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
NO_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager|base)(_|\.|$)")
NO_CLASSES = re.compile(r"^(Base[A-Z]|I[A-Z][a-z])|Impl$|Manager$|Helper$")


def modules(*tops: str) -> Iterator[Path]:
    for top in tops:
        yield from (ROOT / top).rglob("*.py")


@pytest.mark.parametrize("path", sorted(modules("services", "shared")), ids=lambda path: path.name)
def test_a_module_fits_the_head(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MODULE_LINES_MAX
    assert not NO_NAMES.search(path.name), "a drawer, not a module"
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= FUNCTION_LINES_MAX, f"{node.name}: {lines} lines"
            case ast.ClassDef():
                assert not NO_CLASSES.search(node.name), node.name
            case _:
                pass


def test_a_topic_is_named_in_one_place() -> None:
    table = ROOT / "shared" / "contracts" / "topics.py"
    literals = {f'"{name}"' for name in TOPICS}
    for path in modules("services", "shared"):
        if path != table:
            said = {literal for literal in literals if literal in path.read_text()}
            assert not said, f"{path.relative_to(ROOT)} spells {said}; import it"


def test_the_import_names_are_ours_alone() -> None:
    owners = packages_distributions()
    for name in ("services", "shared"):
        assert set(owners.get(name, ["aftercall"])) == {"aftercall"}


def test_every_package_says_what_it_is() -> None:
    for path in modules("services", "shared"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
