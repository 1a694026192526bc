"""This process and its machine: its user, clock, memory, terminal, locks and folders."""
