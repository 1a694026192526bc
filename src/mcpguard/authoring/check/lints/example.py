"""The configuration and the snapshot with which the examples of lints are linted.

Law of this file: small enough to be remembered while the reference is read.
"""

from __future__ import annotations

CONFIG = """\
version: 1
servers:
  files: {command: files-server}
  mail: {command: mail-server}
policies: [example.yaml]
"""

SNAPSHOT = """\
{
 "version": 1,
 "servers": {
  "files": {"tools": [
   {"name": "read", "annotations": {"readOnlyHint": true},
    "inputSchema": {"type": "object", "required": ["path"],
     "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}}}},
   {"name": "write",
    "inputSchema": {"type": "object", "required": ["path", "text"],
     "properties": {"path": {"type": "string"}, "text": {"type": "string"}, "append": {"type": "boolean"}}}}
  ]},
  "mail": {"tools": [
   {"name": "send",
    "inputSchema": {"type": "object", "required": ["to"],
     "properties": {"to": {"type": "string"}, "size": {"type": "integer"}}}}
  ]}
 }
}
"""
