"""Asking the evidence: one call's story in plain words, which calls meet a condition, and figures of them."""
