"""The figures that capture alone exports to Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from shared.metrics import ROWS

# Requests that shared one commit at the edge.
GROUP_COMMIT = Histogram("leadline_group_commit_requests", "Requests per commit", ("service",), buckets=ROWS)
# Submissions by what became of them: new, known, quarantined, refused, or test whatever became of it.
SUBMISSIONS = Counter("leadline_submissions", "Submissions taken in", ("channel", "outcome"))
