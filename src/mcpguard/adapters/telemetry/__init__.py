"""What others see of a running mcpguard: evidence that `exporting.py` puts into one of the `formats/` and
sends to one of `destinations.py`, alerts, metrics, the status file, and lines on standard error."""
