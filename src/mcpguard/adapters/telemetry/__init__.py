"""What others see of a running mcpguard: evidence, which `exporting.py` reads as events
(`evidence_events.py`), puts into one of the `formats/` and sends to one of `destinations.py`; alerts
(`alerts.py`), metrics (`counting.py`), the status file (`status_file.py`), and lines on standard error
(`diagnostics.py`)."""
