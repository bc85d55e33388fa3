"""Two ways to carry a speaker's log to its hearers: read it in place (`postgres`), or through Kafka (`kafka`)."""
