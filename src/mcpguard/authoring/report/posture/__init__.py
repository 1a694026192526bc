"""The controls of Anthropic's zero-trust framework for agents, and how each stands here."""
