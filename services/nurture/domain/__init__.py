"""What nurture decides, apart from all I/O: who may be written to, how a journey runs, what becomes of a touch."""
