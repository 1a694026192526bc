"""Files that people write, with every mistake at its line and column."""
