"""What a stage is called on a page, and how deep it is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageName:
    """`full` where there is room, `column` over `term` at the head of a column, `chip` where there is little room.

    `depth` is 1 to 9 on the main line and 0 beside it, where `sign` is the icon that stands for the depth.
    """

    code: str
    full: str
    column: str
    term: str
    chip: str
    depth: int = 0
    sign: str = ""


_NAMES = (
    StageName("captured", "New (captured)", "New", "captured", "New", 1),
    StageName("registered", "Confirmed (registered)", "Confirmed", "registered", "Confirmed", 2),
    StageName("iql", "Wants information (IQL)", "Wants info", "IQL", "IQL", 3),
    StageName("mql", "Engaged (MQL)", "Engaged", "MQL", "MQL", 4),
    StageName("sql", "Ready for sales (SQL)", "Ready for sales", "SQL", "SQL", 5),
    StageName("handed_over", "Offered to a rep", "Offered", "handed over", "Offered", 6),
    StageName("accepted", "In work (accepted)", "In work", "accepted", "In work", 7),
    StageName("opportunity", "Deal open (opportunity)", "Deal open", "opportunity", "Deal open", 8),
    StageName("customer", "Customer", "Customer", "customer", "Customer", 9),
    StageName("returned", "Returned by sales", "Returned", "returned", "Returned", sign="back"),
    StageName("lost", "No deal (lost)", "No deal", "lost", "No deal", sign="cross"),
    StageName("disqualified", "Not a lead (disqualified)", "Not a lead", "disqualified", "Not a lead", sign="cross"),
    StageName("prospect", "Fits, never asked (prospect)", "Prospect", "prospect", "Prospect", sign="search"),
    StageName("merged", "Joined (merged)", "Joined", "merged", "Joined", sign="joined"),
)
STAGES = {name.code: name for name in _NAMES}
"""By code, those of the main line first and in its order."""


def named(code: str) -> StageName:
    """The name of a stage; a code that is not known here stands for itself."""
    return STAGES.get(code) or StageName(code, code, code, code, code)
