"""Who a lead is, for the eyes of the console alone."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Person:
    """What the card says of who it is; `role` is what they answered to being asked for it."""

    name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    role: str = ""

    def called(self, lead_id: UUID) -> str:
        """The name, else what else stands for the person, else the end of the lead's id: `Lead 8f2c`."""
        return self.name or self.email or self.company or self.phone or f"Lead {lead_id.hex[-4:]}"

    @property
    def initials(self) -> str:
        """`ML` of Mara Lindqvist; of who has no name the first letter of what stands for it."""
        words = (self.name or self.company or self.email or "?").split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
