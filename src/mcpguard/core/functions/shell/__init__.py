"""What `shell()` reads out of a command line. `function.py` is the function of conditions.

`tree.py` walks what tree-sitter parsed, `words.py` reads each word, and `launch.py` finds the programs that
run. `programs.txt` (read by `programs.py`) says what each does with its arguments; `arguments.py` reads them,
`git.py` those of git, `own.py` those that need a look of their own, and `scripts.py` scripts of sed, awk and
jq by the words of `scripts.txt`. `reading.py` has the facts, of which `files.py` finds those about names of
files, and `forms.py`, by the lines of `forms.txt`, what each command is for.
"""
