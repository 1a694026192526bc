"""Policies that are proposed to a person: of a ticket that is approved for good, and of what records say."""
