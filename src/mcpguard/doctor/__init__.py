"""What on a machine bypasses mcpguard or weakens it. `diagnosis.py` runs the checks, one module each."""
