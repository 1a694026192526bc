"""What sinks read: one module a format. None of them exports the arguments of a call, except `jsonl`."""
