"""What `shell()` reads out of a command line. `function.py` is the function of conditions.

`tree.py` walks what tree-sitter parsed; `launch.py` and `code.py` say what a program does with its arguments.
"""
