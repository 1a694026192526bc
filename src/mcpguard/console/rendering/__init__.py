"""What others wrote, as a person reads it: the arguments of a call as names and values, edits as diffs,
statements in colour. Nothing here leaves a character out unsaid, and nothing of the text can run.
"""
