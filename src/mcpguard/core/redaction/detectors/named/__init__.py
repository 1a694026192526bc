"""Secrets that their name gives away, whatever they look like. Begin with `pairs.py`.

`naming.py` says what a name means, `languages.py` has lists of words, also those for "password" in other
languages, `values.py` says where a value ends, `shapes.py` and `plausible.py` whether it looks like a secret.
`commands.py` reads command lines, configuration and output by the tables that `programs.py`
reads, `sentences.py` reads prose, `owners.py` says what a `key` is a key of, `accounts.py` reads files of
users and passwords, `objects.py` reads JSON by the `roles.py` of its members, and `documents.py` that in a
text, `literals.py` also as other languages print it and where it is escaped, and `apart.py` tables and lists,
with what is `around` a name.
"""
