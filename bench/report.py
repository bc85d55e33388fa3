"""What was measured, as it is shown: tables and pictures are made of one file of figures, so they cannot disagree.

`python -m bench.report docs/performance` renews the tables in `docs/performance.md` and the pictures in
`docs/performance/` from `docs/performance/measured.json`.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Figures = Mapping[str, Any]

FILE = "measured.json"
_MARKED = re.compile(r"(<!-- measured: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SIDES = {
    "leadline": "Leadline",
    "naive": "naive app",
    "getmany": "reading alone",
    "faststream": "FastStream, one by one",
}
_KINDS = {"form_submitted": "a submission", "demo_requested": "a demo request"}


def keep(folder: Path, part: str, machine: str, figures: Figures, took: float) -> None:
    """Write what was measured of a part, and in how many seconds, into the folder's file, in the place of what stood
    there."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"on": datetime.now(UTC).date().isoformat(), "machine": machine, "took": round(took)}
    measured = {**read(folder), part: {**told, **_rounded(figures)}}
    (folder / FILE).write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> dict[str, Figures]:
    file = folder / FILE
    return json.loads(file.read_text()) if file.exists() else {}


def renewed(page: str, measured: Mapping[str, Figures]) -> str:
    """The page with its marked tables as the figures say; one without figures stays as it is."""

    def renew(found: re.Match[str]) -> str:
        lines = table(found[2], measured)
        return f"{found[1]}{lines}{found[3]}" if lines else found[0]

    return _MARKED.sub(renew, page)


def table(name: str, measured: Mapping[str, Figures]) -> str:
    """Empty where nothing of it was measured."""
    if name == "summary":
        return _summary(measured)
    part, made_of = TABLES[name]
    return made_of(measured[part]) if part in measured else ""


def digest(figures: Figures) -> str:
    """Stands in the picture that was drawn of them."""
    return hashlib.sha256(json.dumps(figures, sort_keys=True).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    """To four digits that count: no run is more exact than that."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {str(name): _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _summary(measured: Mapping[str, Figures]) -> str:
    rows: list[tuple[str, ...]] = []
    for title, part, ask, floor, target in _RATIOS:
        if part in measured:
            said = "; ".join(words if reached else f"**{words}**" for words, reached in ask(measured[part]))
            rows.append((title, said, floor, target))
    return _table(("", "measured", "floor", "target"), rows)


_Pieces = list[tuple[str, bool]]
"""What was measured, and whether it is what it was to be at least."""


def _r2(figures: Figures) -> _Pieces:
    return [_times(figures["leadline"]["per_second"] / figures["naive"]["per_second"], 12)]


def _r5(figures: Figures) -> _Pieces:
    ratio = figures["leadline"] / figures["inserts"]
    return [(f"{ratio:.2f}", ratio >= 0.6)]


def _r6(figures: Figures) -> _Pieces:
    flushes = figures["leadline"]["flushes"]
    return [(f"{flushes:.3f}", flushes <= 0.05)]


def _r7(figures: Figures) -> _Pieces:
    p50, p99 = next((one["p50"], one["p99"]) for one in figures["shares"] if one["share"] == 0.7)
    return [(f"{p99:.0f} ms", p99 <= 40), (f"{p99 / p50:.1f} times the median", p99 / p50 <= 6)]


def _r8(figures: Figures) -> _Pieces:
    return [_times(figures["leadline"] / figures[other], 1) for other in ("procrastinate", "pgqueuer")]


def _r12(figures: Figures) -> _Pieces:
    ours, alone, one_by_one = (figures[side]["per_second"] for side in ("leadline", "getmany", "faststream"))
    return [(f"{ours / alone:.2g}", ours / alone >= 0.14), _times(ours / one_by_one, 20)]


def _r18(figures: Figures) -> _Pieces:
    p50, p99 = next(one["worklist"] for one in figures["rates"] if one["rate"] == 500)
    return [(_time(p50), p50 <= 0.1), (_time(p99), p99 <= 0.4)]


def _r18_highest(figures: Figures) -> _Pieces:
    highest = figures["highest"]
    return [(f"{highest:.0f} a second" if highest else "none", highest >= 500)]


def _r19(figures: Figures) -> _Pieces:
    pss, later = figures["pss"], figures["later_start"]
    return [(f"{pss:.0f} MB", pss <= 500), (f"{later:.1f} s", later <= 6)]


def _growth(figures: Figures) -> _Pieces:
    grown = [figures["1000000"][what] / figures["100000"][what] for what in OPERATIONS]
    return [(f"{one:.1f}", one <= 1.3) for one in grown]


def _times(ratio: float, floor: float) -> tuple[str, bool]:
    return (f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"), ratio >= floor


OPERATIONS = ("intake", "scoring", "worklist", "timeline")
_Row = tuple[str, str, Callable[[Figures], _Pieces], str, str]
_RATIOS: tuple[_Row, ...] = (
    ("R2 durable leads, against the app one writes first", "intake", _r2, "12", "25"),
    ("R5 facts by the hundred, against plain inserts of the same rows", "facts", _r5, "0.6", "0.85"),
    ("R6 flushes of the WAL for a lead, 64 connections", "intake", _r6, "0.05", "0.015"),
    ("R7 p99 at 70 % of that rate, open loop", "intake", _r7, "40 ms; 6 times", "15 ms; 3 times"),
    ("R8 the log as a queue, against procrastinate; against pgqueuer", "events", _r8, "1", "3"),
    (
        "R12 hear from Kafka, score and commit, against reading alone; against one by one with FastStream",
        "hearing", _r12, "0.14; 20", "0.4; 60",
    ),
    ("R18 post of a demo request to the worklist, 500 a second: p50 and p99", "sales", _r18, "100; 400 ms",
     "30; 100 ms"),
    ("the highest rate at which that p99 is under 400 ms", "sales", _r18_highest, "500 a second", ""),
    ("R19 memory when idle; later start", "footprint", _r19, "500 MB; 6 s", "300 MB; 2.5 s"),
    (
        "an operation at a million leads, against a hundred thousand: intake, scoring, worklist, timeline",
        "size", _growth, "1.3", "",
    ),
)  # fmt: skip


def _intake(figures: Figures) -> str:
    rows = [
        (
            "capture" if side == "leadline" else _SIDES[side],
            f"{one['per_second']:,.0f}", f"{one['p50']:.1f}", f"{one['p99']:.1f}", f"{one['cpu']:.2f}",
            f"{one['flushes']:.3f}",
        )
        for side, one in ((side, figures[side]) for side in ("leadline", "naive"))
    ]  # fmt: skip
    return _table(("", "leads/s", "p50 ms", "p99 ms", "CPU s per 1,000 leads", "WAL flushes per lead"), rows)


def _open_loop(figures: Figures) -> str:
    rows = [
        (f"{one['share']:.0%}".replace("%", " %"), f"{one['p50']:.1f}", f"{one['p99']:.1f}")
        for one in figures["shares"]
    ]
    return _table(("share", "p50 ms", "p99 ms"), rows)


def _facts(figures: Figures) -> str:
    ratio = figures["leadline"] / figures["inserts"]
    rows = [("Leadline", f"{figures['leadline']:,.0f}"), ("plain inserts", f"{figures['inserts']:,.0f}")]
    return _table(("", "facts/s"), [*rows, ("ratio", f"{ratio:.2f}")])


def _events(figures: Figures) -> str:
    names = {
        "leadline": "Leadline's log and consumer",
        "procrastinate": "procrastinate 3.10",
        "pgqueuer": "pgqueuer 1.6",
    }
    return _table(("", "items/s"), [(words, f"{figures[side]:,.0f}") for side, words in names.items()])


def _hearing(figures: Figures) -> str:
    rows = [(_SIDES[side], *_paced(figures[side])) for side in ("leadline", "getmany", "faststream")]
    return _table(("", "events/s", *(f"CPU ms an event: {part}" for part in _PACED)), rows)


def _consumers(figures: Figures) -> str:
    counts = sorted((name for name in figures if name.isdigit()), key=int)
    one = figures[counts[0]]["per_second"]
    rows = [(name, *_paced(figures[name]), f"{figures[name]['per_second'] / one:.2f}") for name in counts]
    return _table(("consumers", "events/s", *(f"CPU ms an event: {part}" for part in _PACED), "times one"), rows)


_PACED = ("consumers", "PostgreSQL", "Kafka")


def _paced(figures: Figures) -> tuple[str, ...]:
    return f"{figures['per_second']:,.0f}", *(f"{figures['cpu'][part]:.2f}" for part in _PACED)


def _sales(figures: Figures) -> str:
    rows = [
        (f"{one['rate']:g}", *(_pair(one[what]) for what in ("answered", "worklist", "mailed")))
        for one in figures["rates"]
    ]
    return _table(("posts a second", "answered p50, p99", "on the worklist p50, p99", "mailed p50, p99"), rows)


def _budget(figures: Figures) -> str:
    """Events and hearers once, CPU by carrier."""
    columns = [
        (carrier, kind, one) for carrier in ("PostgreSQL", "Kafka") if carrier in figures
        for kind, one in figures[carrier]["kinds"].items()
    ]  # fmt: skip
    said = [(kind, one) for carrier, kind, one in columns if carrier == columns[0][0]]
    names = sorted({name for _, one in said for name in one["events"]})
    rows = [
        (f"`{name.removeprefix('io.leadline.').removesuffix('.v1')}`",
         *(f"{one['events'].get(name, 0):.2f}" for _, one in said), ", ".join(figures["hearers"][name]) or "nobody")
        for name in names
    ]  # fmt: skip
    totals = ("events said", *(f"{sum(one['events'].values()):.2f}" for _, one in said), "")
    heard = ("events heard", *(f"{sum(one['heard'].values()):.2f}" for _, one in said), "")
    by_whom = [
        (f"of them by {service}", *(f"{one['heard'][service]:.2f}" for _, one in said), "")
        for service in _ORDER if service in said[0][1]["heard"]
    ]  # fmt: skip
    mails = ("mails", *(f"{one['mails']:.2f}" for _, one in said), "")
    events = _table(("", *(_KINDS[kind] for kind, _ in said), "heard by"), [*rows, totals, heard, *by_whom, mails])
    return events + "\n" + _cpu(figures, columns)


def _cpu(figures: Figures, columns: Sequence[tuple[str, str, Figures]]) -> str:
    parts = list(dict.fromkeys(part for _, _, one in columns for part in one["cpu"]))
    carriers = list(dict.fromkeys(carrier for carrier, _, _ in columns))
    rows = [
        (part, *(_spent(one["cpu"].get(part)) for _, _, one in columns),
         *(_share(figures[carrier]["idle"].get(part)) for carrier in carriers))
        for part in sorted(parts, key=_ORDER.index)
    ]  # fmt: skip
    idle = [f"{sum(figures[carrier]['idle'].values()):.1%}".replace("%", " %") for carrier in carriers]
    rows.append(("together", *(_spent(sum(one["cpu"].values())) for _, _, one in columns), *idle))
    rows.append(("the whole machine", *(_spent(one["whole"]) for _, _, one in columns), *("" for _ in carriers)))
    rows.append(("at so many a second", *(f"{one['rate']:.0f}" for _, _, one in columns), *("" for _ in carriers)))
    rows.append(
        ("machine busy", *(f"{one['busy']:.0%}".replace("%", " %") for _, _, one in columns), *("" for _ in carriers))
    )
    heads = [f"CPU ms of {_KINDS[kind]}, on {carrier}" for carrier, kind, _ in columns]
    return _table(("", *heads, *(f"idle on {carrier}, share of a core" for carrier in carriers)), rows)


_ORDER = ("capture", "scoring", "nurture", "handover", "insights", "PostgreSQL", "Kafka", "caller")


def _spent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}".replace("%", " %")


def _size(figures: Figures) -> str:
    sizes = sorted((name for name in figures if name.isdigit()), key=int)
    rows = [(f"{int(name):,}", *(f"{figures[name][what]:.2f}" for what in OPERATIONS)) for name in sizes]
    heads = ("intake of one, CPU ms", "scoring an event, CPU ms", "a page of the worklist, ms", "a timeline, ms")
    return _table(("leads", *heads), rows)


def _footprint(figures: Figures) -> str:
    rows = [
        ("first start, tables made", f"{figures['first_start']:.1f} s", "", ""),
        ("later start", f"{figures['later_start']:.1f} s", "6 s", "2.5 s"),
        ("memory when idle, shared pages counted once", f"{figures['pss']:,.0f} MB", "500 MB", "300 MB"),
        ("the same, shared pages counted once a process", f"{figures['rss']:,.0f} MB", "", ""),
        ("CPU when idle", f"{figures['idle_cpu']:.0%} of one core".replace("%", " %"), "", ""),
    ]
    return _table(("", "measured", "floor", "target"), rows)


# By name the part whose figures it shows, and how.
TABLES: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "intake": ("intake", _intake),
    "openloop": ("intake", _open_loop),
    "facts": ("facts", _facts),
    "events": ("events", _events),
    "hearing": ("hearing", _hearing),
    "consumers": ("consumers", _consumers),
    "sales": ("sales", _sales),
    "budget": ("budget", _budget),
    "footprint": ("footprint", _footprint),
    "size": ("size", _size),
}


def _pair(seconds: Sequence[float]) -> str:
    return ", ".join(_time(one) for one in seconds)


def _time(seconds: float) -> str:
    """Two digits that count."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines).replace("|  |", "| |").replace("|  |", "| |")


def write(folder: Path) -> None:
    """Renew pictures, and the tables of the page beside the folder, if there is one."""
    from bench.plots import draw

    measured = read(folder)
    draw(folder, measured)
    page = folder.with_suffix(".md")
    if page.exists():
        page.write_text(renewed(page.read_text(), measured))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
