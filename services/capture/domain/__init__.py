"""What capture decides, apart from any input or output: time, ids and randomness are arguments."""
