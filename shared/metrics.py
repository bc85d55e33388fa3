"""The figures that services export to Prometheus alike. Labels are our own words: never an id or anything sent in."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# From 1 ms to 10 s, close together around the promises: 10 ms for an answer, 1 s from a form to the worklist.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

# Until the first byte of the answer, by route template; a stream that stays open for hours counts as its opening.
HTTP_SECONDS = Histogram(
    "leadline_http_seconds", "Time to answer a request", ("service", "method", "route", "status"), buckets=SECONDS
)

# Events recorded that a hearer has not applied yet.
CONSUMER_LAG = Gauge("leadline_consumer_lag_events", "Events waiting to be heard", ("service",))
# How long the oldest of them has waited: the figure to alert on, as a short queue may still stand.
CONSUMER_OLDEST = Gauge("leadline_consumer_oldest_seconds", "Age of the oldest unheard event", ("service",))
# Events one transaction took; it grows under load, which is what keeps up.
CONSUMER_BATCH = Histogram("leadline_consumer_batch_events", "Events per transaction", ("service",), buckets=ROWS)
# Events that came again and were dropped; a rise without restarts means that positions are not being committed.
CONSUMER_REDELIVERED = Counter("leadline_consumer_redelivered", "Events that came again", ("service",))
# Events applied.
CONSUMER_APPLIED = Counter("leadline_consumer_applied", "Events applied", ("service",))
# Leads whose events wait because one of them could not be applied: each needs a look.
HELD_LEADS = Gauge("leadline_held_leads", "Leads held back", ("service",))
# Events that could not even be decoded and were put aside.
UNDECODABLE = Counter("leadline_undecodable", "Events put aside unread", ("service", "topic"))
# From the moment a fact was recorded until this service had applied it, so one line per hop of a lead's way.
HEARD_SECONDS = Histogram(
    "leadline_heard_seconds", "From recorded to applied", ("service", "topic"), buckets=(*SECONDS, 30, 60, 300)
)

# Events of the own log that the broker has acknowledged.
RELAY_PUBLISHED = Counter("leadline_relay_published", "Events published", ("service",))
# How long the oldest unpublished event has waited; rises while the broker is away.
RELAY_OLDEST = Gauge("leadline_relay_oldest_seconds", "Age of the oldest unpublished event", ("service",))

# Timers that came due and were decided anew.
TIMERS_FIRED = Counter("leadline_timers_fired", "Timers fired", ("service", "timer"))
# How far the watermark is behind the wall clock: no timer later than it can fire.
WATERMARK_SECONDS = Gauge("leadline_watermark_behind_seconds", "Watermark behind now", ("service",))

# Mails by what the server said: sent, deferred, bounced, unknown, suppressed.
MAILS = Counter("leadline_mails", "Mails handed over", ("service", "result"))
# Readers of the event stream that are connected now.
STREAM_READERS = Gauge("leadline_stream_readers", "Open event streams", ("service",))
