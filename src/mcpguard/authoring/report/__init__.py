"""The access review: what is connected, what was used of it, and which controls are in force.

`assembly.py` makes the model in `review.py` out of the configuration and of what `tally.py` counts in the
evidence; `posture.py` and `enforcement.py` judge controls. `page.py` prints it as HTML, by `page.html`.
"""
