"""From a raw value to a Redacted. Begin with `redactor.py`.

    leaves       the texts of a value, laid side by side
    scanning     what is in them: `beginnings` says where something may begin, and `reading` whether it does,
                 within a `budget`; `several` which of several values have nothing in them
    detectors/   the formats of secrets, and what only its name gives away (`detectors/named/`)
    views/       what a text says behind a disguise
    held/        the values that mcpguard holds, in every form in which they may come back
    removal/     what is left of the value, and how that is told
    structured/  a result that conforms to its schema again
    engine/      many literals and expressions in one pass over a text

Law of this package: what cannot be read to its end does not leave.
"""
