"""`mcpguard scan`: secrets in files and in the history of git, found as redaction finds them.

    files, history        what there is to read, in folders and in git
    sources               what each of it is, and its text in pieces that overlap
    leaks                 what redaction finds in it, and what a person has judged already
    run                   all of it, in one pass, as text and SARIF

Law of this package: no value, and nothing of one, leaves it.
"""
