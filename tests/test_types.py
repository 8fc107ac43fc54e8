"""Types are whole: every function of the product says what it takes and returns, and no checker is silenced wordlessly.

That the types are also right is pyright's to say (pyproject.toml).
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("core", "trainer", "comfy_nodes", "webui_extension", "scripts", "install.py", "__init__.py")
SILENCED = re.compile(r"#\s*(?:type|pyright):\s*ignore\b(?:\[[^\]]*\])?(?P<rest>.*)")
REASON = re.compile(r"\s*#\s*\w+\s+\w+")  # words, not a further directive


def files_of(part: str) -> list[Path]:
    return [ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py"))


def without_types(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            named = [one for one in every if one is not None and one.arg not in ("self", "cls")]
            missing = [one.arg for one in named if one.annotation is None]
            if node.returns is None:
                missing.append("return")
            if missing:
                yield f"line {node.lineno}: {node.name} ({', '.join(missing)})"


def without_reason(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (found := SILENCED.search(token.string)):
            words = found["rest"].replace("noqa", "")
            if not REASON.match(words):
                yield f"line {token.start[0]}: {token.string}"


@pytest.mark.parametrize("part", PRODUCT)
def test_every_function_says_what_it_takes_and_returns(part):
    assert files_of(part)
    found = [
        f"{path.relative_to(ROOT)} {one}" for path in files_of(part) for one in without_types(path.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("part", PRODUCT)
def test_where_a_type_checker_is_silenced_the_reason_stands_behind_it(part):
    found = [
        f"{path.relative_to(ROOT)} {one}" for path in files_of(part) for one in without_reason(path.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(a: int, /, *args: int, b: int = 1, **more: int) -> int: ...", []),
        ("def f(a, /, b, *args, c, **more) -> int: ...", ["line 1: f (a, b, c, args, more)"]),
        ("class A:\n    async def f(self): ...\n    @classmethod\n    def g(cls, a) -> None: ...",
         ["line 2: f (return)", "line 4: g (a)"]),
        ("def f() -> None:\n    def g(*args): ...", ["line 2: g (args, return)"]),
    ],
)  # fmt: skip
def test_a_missing_type_is_found_wherever_it_is(source, missing):
    assert list(without_types(source)) == missing


@pytest.mark.parametrize("silence", ["type: ignore", "type:ignore[arg-type]", "pyright: ignore[reportCallIssue]"])
def test_a_silence_needs_words(silence):
    assert not list(without_reason(f"a = f()  # {silence}  # untyped in torch\n"))
    assert not list(without_reason(f"a = 'x  # {silence}'\n"))
    for bare in ("", "  #", "  # noqa", "  # why", "  # noqa: E501"):
        assert len(list(without_reason(f"a = f()  # {silence}{bare}\n"))) == 1, bare
