"""A structured result from which something was removed still conforms to the tool's schema. Begin with
`forms.py`.

`conforming.py` says whether a value conforms, `fitting.py` changes it until it does, with the values of
`standins.py`.
"""
