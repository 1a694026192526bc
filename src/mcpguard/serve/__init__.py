"""The composition root, the only place that names concrete adapters: settings in, a serving process out.

`app.py` runs it, `fronts.py` is stdio or HTTP, `worlds.py` puts together what serves one client, `wiring.py`
one upstream of it; `changes/` puts in force what changes in the files meanwhile.
"""
