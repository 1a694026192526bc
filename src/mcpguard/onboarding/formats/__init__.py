"""JSON with comments, TOML and YAML as trees in which each value keeps its span of the text."""
