"""Moving in: client configurations are found, read, rewritten to go through mcpguard, and put back."""
