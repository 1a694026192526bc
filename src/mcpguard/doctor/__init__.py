"""The checks of `mcpguard doctor`. To add one: a module with `check(subject)`, a line in `checks()` of
`cli/doctor.py`."""
