"""How a lead is called on a page."""

from __future__ import annotations

from uuid import UUID


def who(lead_id: UUID, name: str, company: str, email: str, phone: str) -> str:
    """The name, else what else stands for the person, else the end of the lead's id: `Lead 8f2c`."""
    return name or email or company or phone or f"Lead {lead_id.hex[-4:]}"
