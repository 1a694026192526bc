"""The local page where a person sees, decides and undoes: a process of its own beside those that serve.

Law of this package: it reads what serving processes leave (the store, the evidence, the status files) and
they carry nothing for it. Nothing is served to those who did not come by a link of this process, and what
others wrote is shown as text that cannot hide, reorder or run.

`app.py` serves all of it, behind `access.py`. `views/` has a function a page, over what `desk.py` looks at
(the newest evidence is in `evidence.py`), and `pages.py` fills the templates; `actions.py` does what a person
answers; `rendering/` shows what others wrote. `terminal.py` is a ticket without a browser.
"""
