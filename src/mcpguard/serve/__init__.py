"""The composition root, the only place that names concrete adapters: settings in, a serving process out.

`app.py` runs it, `fronts.py` is stdio or HTTP, `worlds.py` puts together what serves one client, `wiring.py`
one upstream of it; `reloading.py` puts in force what changes in the files meanwhile, and `recognising.py` has
the values held that are to be recognised.
"""
