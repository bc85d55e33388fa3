"""Which tests go to the same worker: those that share a server, an installation or a database."""

from __future__ import annotations

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling


def group_of(nodeid: str) -> str:
    """One Kafka, one installation, and for all others one service a file."""
    folders = PurePath(nodeid.split("::", 1)[0]).parts
    if "kafka" in nodeid:
        return "kafka"
    if folders[1] in ("browser", "rows"):
        return "installation"
    return "/".join(folders)


class Sharing(LoadScopeScheduling):
    """A group is run by one worker, in the order in which it was found.

    pytest-xdist's own `loadgroup` writes groups into the ids of tests, where pytest 9.2 no longer looks for them.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
