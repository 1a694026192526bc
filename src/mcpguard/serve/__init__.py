"""The composition root, the only place that names concrete adapters: settings in, a serving process out.

`app.py` runs it by `settings.py`, read in a child by `handover.py`; `fronts.py` is stdio or HTTP,
`worlds.py` puts together what serves one client, `wiring.py` one upstream of it. `evidence.py`,
`kept_heads.py` and `notifying.py` are what goes on beside calls, `readiness.py` says whether they can be
served, and `state.py` where sessions are kept. `reloading.py` puts in force what changes in the files
meanwhile (`file_watch.py`), `recognising.py` has the values held that are to be recognised, and
`interventions.py` is what a person changes from outside.
"""
