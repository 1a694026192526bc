"""The parts of `mcpguard check`: what it looks at, one file each, and how it says what it found."""
