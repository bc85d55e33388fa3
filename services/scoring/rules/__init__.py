"""The rule set as marketers write it: the one that is shipped, and how such a file is read."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import cast

import yaml
from yaml import SafeLoader

from services.scoring.domain.reading import BadRules, read_rules
from services.scoring.domain.ruleset import RuleSet

try:
    from yaml import CSafeLoader as QuickLoader
except ImportError:  # PyYAML that was built without libyaml
    QuickLoader = SafeLoader

DEFAULT = Path(__file__).parent / "default.yaml"


def parse(text: str) -> object:
    """The data in a rule file, YAML or JSON. Raises `BadRules` for what is neither, and for a key given twice."""
    try:
        return cast("object", yaml.load(text, Loader=_Strict))  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}" if mark else ""
        raise BadRules([((), f"cannot be read{place}: {error.problem}")]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadRules([((), f"cannot be read: {type(error).__name__}")]) from None


def shipped() -> tuple[object, RuleSet]:
    """The rule set that a new installation begins with, as data and as read."""
    # Our own file need not be distrusted at every start; the strict reading takes six times as long.
    data = cast("object", yaml.load(DEFAULT.read_text(encoding="utf-8"), Loader=QuickLoader))  # noqa: S506 - safe too
    return data, read_rules(data)


class _Strict(SafeLoader):
    """YAML quietly lets the last of two equal keys win; in a rule set that is a rule lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[object] = set()
        for child, _ in node.value:
            if child.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{child.value} is there twice", problem_mark=child.start_mark)
            seen.add(child.value)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # An alias can stand for itself a billion times over.
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not used here", problem_mark=self.get_mark())
        return super().compose_node(parent, index)
