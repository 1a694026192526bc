"""The web of the day: GitHub's API as its documentation shows it, and a few pages."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.packs.web import NOTHING, Page

HOSTS = (
    "api.github.com",
    "docs.python.org",
    "www.sqlite.org",
    "changelog.example.org",
    "evil.example.net",
)
SHA = "a" * 40
API = "https://api.github.com"
ISSUE = "The second page repeats the last row of the first one. Reported by a user."


def answer(host: str, method: str, path: str) -> Page:
    """What the host says."""
    if host == "api.github.com":
        return _api(method, path.partition("?")[0])
    if path == "/robots.txt" or path.startswith("/missing"):
        return NOTHING
    text = f"<html><body><main><h1>{host}</h1><p>{'How it is done. ' * 40}</p></main></body></html>"
    return Page(text, "text/html")


def _api(method: str, path: str) -> Page:
    for pattern, made in ROUTES:
        found = re.fullmatch(pattern, f"{method} {path}")
        if found:
            return Page(json.dumps(made), "application/json", "201 Created" if method == "POST" else "200 OK")
    return Page('{"message": "Not Found"}', "application/json", "404 Not Found")


def _links(*names: str) -> dict[str, str]:
    return {name: f"{API}/{name}" for name in names}


USER = {"login": "ada", "id": 1, "node_id": "U1", "type": "User", **_links("avatar_url", "url", "html_url")}
WRITER = {"name": "Ada", "email": "ada@example.com", "date": "2026-11-27T09:00:00Z"}
TIMES = {"created_at": "2026-11-27T09:00:00Z", "updated_at": "2026-11-27T09:00:00Z", "closed_at": None}
REPOSITORY: dict[str, Any] = {
    "id": 1,
    "node_id": "R1",
    "name": "shop",
    "full_name": "acme/shop",
    "private": True,
    "owner": USER,
    "description": None,
    "fork": False,
    "default_branch": "main",
    "pushed_at": "2026-11-27T09:00:00Z",
    **TIMES,
    **_links("html_url", "url", "git_url", "ssh_url", "clone_url"),
}
ISSUE_7 = {
    "id": 7,
    "number": 7,
    "title": "Pagination repeats a row",
    "body": ISSUE,
    "state": "open",
    "user": USER,
    "labels": [],
    "comments": 1,
    **TIMES,
    **_links("url", "html_url"),
}
PULL: dict[str, Any] = {
    "id": 9,
    "node_id": "P9",
    "number": 9,
    "state": "open",
    "locked": False,
    "title": "Mend pagination",
    "user": USER,
    "body": "Mends #7.",
    "merged_at": None,
    "merge_commit_sha": None,
    "assignee": None,
    "assignees": [],
    "requested_reviewers": [],
    "labels": [],
    "head": {"label": "acme:agent/7", "ref": "agent/7", "sha": SHA, "user": USER, "repo": REPOSITORY},
    "base": {"label": "acme:main", "ref": "main", "sha": SHA, "user": USER, "repo": REPOSITORY},
    **TIMES,
    **_links("url", "html_url", "diff_url", "patch_url", "issue_url"),
}
FILE = {
    "name": "pagination.py",
    "path": "src/pagination.py",
    "sha": SHA,
    "size": 40,
    "type": "file",
    "encoding": "base64",
    "content": base64.b64encode(b"def page(rows, number):\n    ...\n").decode(),
    "_links": {"self": API, "git": API, "html": API},
    **_links("url", "html_url", "git_url", "download_url"),
}
COMMIT = {
    "sha": SHA,
    "node_id": "C1",
    "author": WRITER,
    "committer": WRITER,
    "message": "Mend pagination",
    "tree": {"sha": SHA, "url": API},
    "parents": [{"sha": SHA, "url": API, "html_url": API}],
    **_links("url", "html_url"),
}
REFERENCE = {
    "ref": "refs/heads/main",
    "node_id": "F1",
    "url": API,
    "object": {"sha": SHA, "type": "commit", "url": API},
}
CHANGED = {
    "sha": SHA,
    "filename": "src/pagination.py",
    "status": "modified",
    "additions": 2,
    "deletions": 1,
    "changes": 3,
    "patch": "@@ -1 +1,2 @@",
    **_links("blob_url", "raw_url", "contents_url"),
}
REVIEW = {
    "id": 3,
    "node_id": "V3",
    "user": USER,
    "body": "Looks right.",
    "state": "COMMENTED",
    "commit_id": SHA,
    "submitted_at": None,
    "author_association": "MEMBER",
    **_links("html_url", "pull_request_url"),
}
ANY = "/repos/[^/]+/[^/]+"
ROUTES: tuple[tuple[str, Any], ...] = (
    (f"GET {ANY}/issues/7", ISSUE_7),
    (f"GET {ANY}/issues", [ISSUE_7]),
    (f"PATCH {ANY}/issues/7", ISSUE_7),
    (f"POST {ANY}/issues", ISSUE_7),
    (f"POST {ANY}/issues/[0-9]+/comments", {"id": 5, "body": "Done.", **_links("url", "html_url")}),
    ("GET /search/(issues|code)", {"total_count": 1, "incomplete_results": False, "items": [ISSUE_7]}),
    (
        "GET /search/repositories",
        {"total_count": 1, "incomplete_results": False, "items": [REPOSITORY]},
    ),
    (f"GET {ANY}/pulls", [PULL]),
    (f"POST {ANY}/pulls", PULL),
    (f"GET {ANY}/pulls/9", PULL),
    (f"GET {ANY}/pulls/9/files", [CHANGED]),
    (f"GET {ANY}/pulls/9/(comments|reviews)", []),
    (f"POST {ANY}/pulls/9/reviews", REVIEW),
    (f"PUT {ANY}/pulls/9/merge", {"merged": True, "sha": SHA, "message": "merged"}),
    (f"GET {ANY}/commits/{SHA}/status", {"state": "success", "statuses": [], "sha": SHA, "total_count": 0}),
    (f"GET {ANY}/commits", [{"sha": SHA, "commit": COMMIT}]),
    (f"GET {ANY}/contents/.*", FILE),
    (f"PUT {ANY}/contents/.*", {"content": FILE, "commit": COMMIT}),
    (f"GET {ANY}/git/refs/heads/.*", REFERENCE),
    (f"(POST|PATCH) {ANY}/git/refs.*", REFERENCE),
    (f"POST {ANY}/git/trees", {"sha": SHA, "url": API, "tree": [], "truncated": False}),
    (f"POST {ANY}/git/commits", COMMIT),
    (f"POST {ANY}/forks|POST /user/repos", REPOSITORY),
)
"""Requests (a pattern) and what they are answered with."""
