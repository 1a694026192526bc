"""Paths of files: `reading.py` is for `pathWithin`, `naming.py` for `secretName` and `obeyedFile`,
`uris.py` for `filePath`, `diff_files.py` for `diffFiles`."""
