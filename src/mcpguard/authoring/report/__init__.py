"""The access review: what is connected, what was used of it, and which controls are in force, as a page."""
