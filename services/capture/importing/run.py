"""Importing a file through the one intake (written by the lead developer; in progress, please leave)."""
