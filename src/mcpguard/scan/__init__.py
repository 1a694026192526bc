"""`mcpguard scan`: secrets in files and in the history of git, found as redaction finds them.

    files, git, history   what there is to read, as sources
    windows               a source in pieces that overlap, as text
    leaks                 what redaction finds in it, and where
    exceptions            what a person has judged already
    run                   all of it, in one pass
    report                text and SARIF

Law of this package: no value, and nothing of one, leaves it.
"""
