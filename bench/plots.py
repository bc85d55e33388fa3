"""The pictures of what was measured: SVG, the same figures always making the same file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report import OPERATIONS, Figures, digest

# Readable on white and on black, and by who tells few colours apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_GREY = "#808080"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "leadline",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.prop_cycle": mpl.cycler(color=_COLOURS, marker=["o", "s", "^", "D"]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _GREY),
}


def draw(folder: Path, measured: Mapping[str, Figures]) -> None:
    """Those of which something was measured."""
    with mpl.rc_context(_STYLE):
        for name, (part, made_by) in PLOTS.items():
            if part in measured:
                figure = Figure(figsize=(6, 3.2), layout="constrained")
                made_by(figure.subplots(), measured[part])
                said = {"Date": None, "Creator": None, "Identifier": digest(measured[part])}
                figure.savefig(folder / f"{name}.svg", metadata=said, transparent=True)


def _open_loop(axes: Axes, figures: Figures) -> None:
    shares = [one["share"] * 100 for one in figures["shares"]]
    for what in ("p50", "p99"):
        axes.plot(shares, [one[what] for one in figures["shares"]], label=what)
    axes.axhline(40, linestyle=":", color=_GREY, marker="", label="40 ms")
    axes.set(xlabel="share of the highest rate, %", ylabel="ms until the answer", yscale="log", xticks=shares)
    axes.legend(frameon=False)


def _sales(axes: Axes, figures: Figures) -> None:
    rates = [one["rate"] for one in figures["rates"]]
    for what, words in (("worklist", "on the worklist"), ("mailed", "mailed")):
        axes.plot(rates, [one[what][1] for one in figures["rates"]], label=f"{words}, p99")
        axes.plot(rates, [one[what][0] for one in figures["rates"]], label=f"{words}, p50")
    axes.axhline(0.4, linestyle=":", color=_GREY, marker="", label="0.4 s")
    axes.set(xlabel="demo requests a second", ylabel="s from the post", xscale="log", yscale="log")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    axes.legend(frameon=False)


def _growth(axes: Axes, figures: Figures) -> None:
    sizes = sorted((name for name in figures if name.isdigit()), key=int)
    middle = figures[sizes[len(sizes) // 2]]
    for what in OPERATIONS:
        axes.plot([int(name) for name in sizes], [figures[name][what] / middle[what] for name in sizes], label=what)
    axes.axhline(1.3, linestyle=":", color=_GREY, marker="", label="1.3")
    axes.set(xlabel="leads", ylabel=f"cost, 1 at {int(sizes[len(sizes) // 2]):,}", xscale="log", ylim=(0, None))
    axes.legend(frameon=False)


def _consumers(axes: Axes, figures: Figures) -> None:
    counts = sorted((name for name in figures if name.isdigit()), key=int)
    rates = [figures[name]["per_second"] for name in counts]
    axes.plot([int(name) for name in counts], rates, label="measured")
    axes.plot([int(name) for name in counts], [rates[0] * int(name) for name in counts], ":", color=_GREY, marker="",
              label="as many times one")  # fmt: skip
    axes.set(xlabel="consumers", ylabel="events a second", xticks=[int(name) for name in counts], ylim=(0, None))
    axes.legend(frameon=False)


# By the picture's name the part whose figures it shows, and how.
PLOTS: dict[str, tuple[str, Callable[[Axes, Figures], None]]] = {
    "open-loop": ("intake", _open_loop),
    "to-sales": ("sales", _sales),
    "growth": ("size", _growth),
    "consumers": ("consumers", _consumers),
}
