"""Paths of files: `reading.py` is for `pathWithin`, `naming.py` for `secretName` and `obeyedFile`,
`diff_files.py` for `diffFiles`."""
