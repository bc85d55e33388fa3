"""A past that is brought in is counted at its own dates, and starts nothing: leads first, then the deals they made."""

from __future__ import annotations

import asyncio
import csv
import os
import statistics
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.forked import PROJECT
from tests.support.installation import KEY, Installation

LEADS, DEALS = "olist_marketing_qualified_leads_dataset.csv", "olist_closed_deals_dataset.csv"
SINCE = "2018-01-01"


def some_rows(folder: Path, name: str, ids: set[str], into: Path) -> tuple[Path, list[dict[str, str]]]:
    with (folder / name).open(encoding="utf-8", newline="") as whole:
        reader = csv.DictReader(whole)
        rows = [row for row in reader if row["mql_id"][:2] in ids]
    with (into / name).open("w", encoding="utf-8", newline="") as part:
        writer = csv.DictWriter(part, reader.fieldnames or [])
        writer.writeheader()
        writer.writerows(rows)
    return into / name, rows


def bring(inst: Installation, file: Path, map_name: str) -> str:
    map_file = PROJECT / "docs" / "examples" / map_name
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "import", str(file), "--map", str(map_file), "--write"],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": inst.dsn, "LEADLINE_API_KEY": KEY, "LEADLINE_DATA_DIR": str(inst.data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def days(lead: dict[str, str], deal: dict[str, str]) -> float:
    taken = datetime.fromisoformat(deal["won_date"]) - datetime.fromisoformat(lead["first_contact_date"])
    return taken.total_seconds() / 86400


def quantiles(taken: list[float]) -> dict[str, Any]:
    tenths, quarters = (statistics.quantiles(taken, n=parts, method="inclusive") for parts in (10, 4))
    found = {"p10": tenths[0], "median": quarters[1], "p75": quarters[2], "p90": tenths[8]}
    return {name: pytest.approx(value, abs=0.006) for name, value in found.items()}


def test_leads_and_their_deals_of_two_years_are_counted_at_their_dates(
    inst: Installation, shared_data: Path, tmp_path: Path
) -> None:
    some = {f"{number:02x}" for number in range(8)}
    leads_file, leads = some_rows(shared_data / "olist-funnel", LEADS, some, tmp_path)
    deals_file, deals = some_rows(shared_data / "olist-funnel", DEALS, some, tmp_path)
    mails = len(list(inst.data_dir.rglob("*.eml")))
    bring(inst, leads_file, "olist-leads-map.yaml")
    assert f"{len(deals)} merged into known leads" in bring(inst, deals_file, "olist-deals-map.yaml")

    def told(**asked: str) -> Any:
        return inst.get("insights", "/v1/lead-times", to="2018-12-31", **asked)

    inst.until(lambda: told()["total"]["customers"] == len(deals), seconds=60)
    whole = told()["total"]
    by_id = {lead["mql_id"]: lead for lead in leads}
    assert whole["leads"] == len(leads)
    assert whole["days"] == quantiles([days(by_id[deal["mql_id"]], deal) for deal in deals])

    since = told(**{"from": SINCE})
    recent = {lead["mql_id"]: lead for lead in leads if lead["first_contact_date"] >= SINCE}
    won = [deal for deal in deals if deal["mql_id"] in recent]
    assert (since["total"]["leads"], since["total"]["customers"]) == (len(recent), len(won))
    assert since["total"]["conversion"] == len(won) / len(recent)
    assert since["total"]["days"] == quantiles([days(recent[deal["mql_id"]], deal) for deal in won])
    origins = Counter(origin(lead) for lead in recent.values())
    bought = Counter(origin(recent[deal["mql_id"]]) for deal in won)
    assert {group["key"]: (group["leads"], group["customers"]) for group in since["groups"]} == {
        name: (count, bought[name]) for name, count in origins.items()
    }

    assert len(list(inst.data_dir.rglob("*.eml"))) == mails
    assert asyncio.run(started(inst.dsn)) == {"touches": 0, "offers": 0, "timers": 0}


async def started(dsn: str) -> dict[str, int]:
    """What was begun with the leads of the file."""
    brought = "(SELECT lead_id FROM insights.lead WHERE email ~ '^[0-9a-f]{32}@example[.]com$')"
    timers = " + ".join(
        f"(SELECT count(*) FROM {service}.timer WHERE lead_id IN {brought})"
        for service in ("capture", "scoring", "nurture", "handover")
    )
    connection = await asyncpg.connect(dsn)
    try:
        return {
            "touches": await connection.fetchval(f"SELECT count(*) FROM nurture.touch WHERE lead_id IN {brought}"),
            "offers": await connection.fetchval(f"SELECT count(*) FROM handover.offer WHERE lead_id IN {brought}"),
            "timers": await connection.fetchval(f"SELECT {timers}"),
        }
    finally:
        await connection.close()


def origin(lead: dict[str, str]) -> str:
    return "" if lead["origin"] in ("", "unknown") else lead["origin"]
