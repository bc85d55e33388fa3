"""What handover decides: pure, with the time and all facts as arguments."""
