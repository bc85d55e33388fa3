"""What all services share stays small enough to be read in an afternoon."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
LIMIT = 3_460
EMPTY = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def lines_of_code(source: str) -> int:
    """Lines that hold code: neither blank, nor only a comment, nor of the docstring of a module, class or function.

    A statement over several lines counts with all of them, and so does every line of SQL in a string.
    """
    holding: set[int] = set()
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in EMPTY:
            holding.update(at for at in range(token.start[0], token.end[0] + 1) if lines[at - 1].strip())
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            said = node.body[0]
            holding.difference_update(range(said.lineno, (said.end_lineno or said.lineno) + 1))
    return len(holding)


def test_what_counts_as_a_line_of_code() -> None:
    source = '''"""A docstring
over two lines."""
import os  # counts

# does not
LIMIT = 3


def ask(
    name: str,
) -> str:
    """Does not count."""

    return f"""SELECT name
               FROM there
               WHERE {name}"""
'''
    assert lines_of_code(source) == len(["import", "LIMIT", "def", "name", ")", "return", "FROM", "WHERE"])


def test_shared_holds_less_code_than_its_limit() -> None:
    sizes = {path: lines_of_code(path.read_text(encoding="utf-8")) for path in SHARED.rglob("*.py")}
    largest = sorted(((size, str(path.relative_to(SHARED))) for path, size in sizes.items()), reverse=True)[:5]
    assert sum(sizes.values()) < LIMIT, f"{sum(sizes.values())} lines; the largest: {largest}"
