"""How a real server is started, and what its answers through a pack say."""

from __future__ import annotations

import sqlite3
import subprocess

from tests.packs.packs import tools
from tests.wire.session import eventually

SHOP = """
    CREATE TABLE customers (id int, name text, email text, password_hash text);
    INSERT INTO customers VALUES (7, 'Jane', 'jane@example.com', 'canary');
    CREATE TABLE orders (id int, total int);
    CREATE SCHEMA hr;
    CREATE TABLE hr.salaries (amount int);
    INSERT INTO hr.salaries VALUES (31337);
    CREATE FUNCTION public.total() RETURNS int LANGUAGE sql AS 'SELECT max(amount) FROM hr.salaries';
"""
"""What a PostgreSQL of the tests holds."""


def repository(folder):
    """A git repository with one commit, which says whose it is; gives its path as text."""
    folder.mkdir()
    (folder / "file.txt").write_text(f"content of {folder.name}\n")
    git(folder, "init", "-q")
    commit(folder, f"the first of {folder.name}")
    return str(folder)


def commit(folder, message="another"):
    """Commit all that is in a repository."""
    git(folder, "add", ".")
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid"]
    git(folder, *who, "commit", "-q", "-m", message)


def git(folder, *words):
    """What a git command prints."""
    done = subprocess.run(["git", *words], cwd=folder, check=True, timeout=20, capture_output=True, text=True)
    return done.stdout


def tables(file):
    """A SQLite database with customers and salaries; gives its path as text."""
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE customers (name TEXT, email TEXT)")
        database.execute("INSERT INTO customers VALUES ('Jane', 'jane@example.com')")
        database.execute("CREATE TABLE salaries (amount INTEGER)")
        database.execute("INSERT INTO salaries VALUES (31337)")
    database.close()
    return str(file)


def refused(answer, rule):
    """Whether a call was refused by a rule of the pack."""
    said = answer.get("result", {})
    return bool(said.get("isError")) and f"/{rule}" in said["content"][0]["text"]


def hidden(answer):
    """Whether a tool is answered as one that does not exist."""
    return "error" in answer and "result" not in answer


def offered(session, server):
    """The tools that a client sees; all of them are in the snapshot."""
    found = set(eventually(session.tools, "tools"))  # Those of a slow server follow.
    assert found <= set(tools(server))
    return found


def worked(answer):
    """Whether a call was made, and its server had no complaint."""
    return "result" in answer and not answer["result"].get("isError")
