"""What others wrote, as a person reads it: the arguments of a call as names and values (`arguments.py`),
edits as diffs (`diffs.py`), statements in colour (`languages.py`), any text with what it hides (`texts.py`).
Nothing here leaves a character out unsaid, and nothing of the text can run."""
