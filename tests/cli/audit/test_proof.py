"""`mcpguard audit verify`, `heads` and `key`: a proof with only the files and the public key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import FORMAT, Anchor, Checkpoint
from mcpguard.core.secret import CredentialRef, Secret
from tests.adapters.audit.audit_records import CLOSED, DECIDED, OPENED, OUTCOME
from tests.adapters.credentials.fake_keyring import FakeKeyring

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def signed_chain(folder: Path, key: SigningKey, last: bool = True) -> Path:
    """A chain that is signed at its end, or after its second record."""
    sink = AuditFile(folder)
    sink.signer = key
    sink.write(OPENED)
    sink.write(DECIDED)
    if not last:
        sink.checkpoint(())
    sink.write(OUTCOME)
    if last:
        sink.checkpoint(())
    sink.close(CLOSED)
    return sink.path


def test_a_key_is_made_kept_and_never_printed(backend: FakeKeyring, tmp_path: Path, capsys: Capture) -> None:
    assert main(["audit", "key", "--new"]) == 0
    said = capsys.readouterr().out
    kept = backend.entries["mcpguard", "audit/key"]
    assert kept.startswith("mcpguard-audit-key-1:")
    assert kept not in said
    public = SigningKey(Secret(kept)).public
    assert said == (
        f"{public}\nstored; to sign with it, add `audit: {{key: '${{keyring:audit/key}}'}}` to the configuration\n"
    )
    advised = said.partition("add `")[2].partition("` to")[0]
    path = tmp_path / "mcpguard.yaml"
    path.write_text(f"version: 1\nservers: {{s: {{command: x}}}}\n{advised}\n")
    assert load_config(path).audit.key == CredentialRef("keyring", "audit/key")
    assert main(["audit", "key"]) == 0
    assert capsys.readouterr().out == f"{public}\n"
    assert main(["audit", "key", "--json"]) == 0
    found = {"reference": "keyring:audit/key", "id": public.id, "public": str(public)}
    assert json.loads(capsys.readouterr().out) == found
    assert main(["audit", "key", "--new"]) == 2
    assert "is in the keychain already" in capsys.readouterr().err
    assert backend.entries["mcpguard", "audit/key"] == kept


def test_a_key_is_written_to_a_new_file_of_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["audit", "key", "--new", "--to", "audit.key"]) == 0
    path = tmp_path / "audit.key"
    kept = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().out
    assert said.startswith(f"{SigningKey(Secret(kept.strip())).public}\n")
    assert f"${{file:{path}}}" in said
    assert kept.strip() not in said
    assert main(["audit", "key", "--new", "--to", "audit.key"]) == 2
    assert "audit.key exists, and a key is never overwritten" in capsys.readouterr().err
    assert path.read_text() == kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--new", "--to", "-"], "a private key is never printed"),
        (["--new", "--to", "none/key"], "none/key cannot be written: No such file or directory"),
        (["--new", "--to", "/dev/full"], "/dev/full exists"),
        (["--to", "key"], "it goes with --new"),
    ],
)
def test_where_a_key_cannot_go_is_said(options: list[str], said: str, capsys: Capture) -> None:
    assert main(["audit", "key", *options]) == 2
    assert said in capsys.readouterr().err


def test_without_a_keychain_a_file_is_suggested(backend: FakeKeyring, capsys: Capture) -> None:
    backend.error = RuntimeError("no")
    assert main(["audit", "key", "--new"]) == 2
    assert "`mcpguard audit key --new --to FILE` needs no keychain" in capsys.readouterr().err


def test_the_key_is_that_of_the_configuration(tmp_path: Path, backend: FakeKeyring, capsys: Capture) -> None:
    value = new_key()
    (tmp_path / "key").write_text(value)
    (tmp_path / "key").chmod(0o600)
    config = tmp_path / "mcpguard.yaml"
    servers = "version: 1\nservers: {one: {command: x}}\n"
    config.write_text(f"{servers}audit: {{path: audit, key: '${{file:{tmp_path / 'key'}}}'}}\n")
    assert main(["audit", "key", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{SigningKey(Secret(value)).public}\n"
    config.write_text(servers)
    assert main(["audit", "key", "--config", str(config)]) == 2
    assert (
        "no key is configured (`audit.key`), and the keychain has none: make one" in capsys.readouterr().err
    )
    backend.error = RuntimeError("locked")
    assert main(["audit", "key", "--config", str(config)]) == 2
    assert "no key is configured (`audit.key`)" in capsys.readouterr().err


def test_with_the_public_key_what_nobody_signed_is_a_flaw(folder: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    path = signed_chain(folder, key)
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public)]) == 0
    capsys.readouterr()
    text = folder / "public"
    text.write_text(f"{key.public}\n")
    assert main(["audit", "verify", str(folder), "--public-key", str(text), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["key"], found["chains"][0]["signed"]) == (key.public.id, 4)
    stranger = SigningKey(Secret(new_key())).public
    assert main(["audit", "verify", str(folder), "--public-key", str(stranger)]) == 1
    said = capsys.readouterr()
    assert said.err == (
        f"mcpguard: no signature here is by this key ({stranger.id}), but by {key.public.id}: is it the right "
        "one? After a change of the key give both (--public-key, repeated). The hashes of "
        "the chains match, but that does not show who wrote them\n"
    )
    assert "UNPROVEN" in said.out
    assert "line 4 has a signature that is not by this key" in said.out
    assert said.out.endswith("chains: 1, altered or missing: 0, unproven: 1\n")
    path.unlink()
    signed_chain(folder, key, last=False)
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public)]) == 1
    assert "was closed, but no signature is about lines after 3" in capsys.readouterr().out


def test_chains_from_before_and_after_a_change_of_the_key_are_verified_with_both(
    folder: Path, capsys: Capture
) -> None:
    old, new = (SigningKey(Secret(new_key())) for _ in range(2))
    signed_chain(folder, old)
    signed_chain(folder, new)
    verify = ["audit", "verify", str(folder), "--public-key", str(new.public)]
    assert main(verify) == 1
    assert "has a signature that is not by this key" in capsys.readouterr().out
    assert main([*verify, "--public-key", str(old.public), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["signed"] for one in found["chains"]] == [4, 4]
    assert found["key"] == f"{new.public.id} {old.public.id}"


def test_what_was_altered_is_said_to_be_also_with_the_wrong_keys(folder: Path, capsys: Capture) -> None:
    strangers = [SigningKey(Secret(new_key())).public for _ in range(2)]
    path = signed_chain(folder, SigningKey(Secret(new_key())))
    path.write_bytes(path.read_bytes().replace(b"os-user:", b"os-uzer:", 1))
    wrong = [word for one in strangers for word in ("--public-key", str(one))]
    assert main(["audit", "verify", str(folder), *wrong]) == 1
    said = capsys.readouterr()
    assert "by these keys" in said.err
    assert "is one missing? After a change" in said.err
    assert "The hashes" not in said.err
    assert "ALTERED" in said.out


def test_where_nothing_is_signed_a_key_proves_nothing(folder: Path, capsys: Capture) -> None:
    plain_chain(folder)
    key = SigningKey(Secret(new_key())).public
    assert main(["audit", "verify", str(folder), "--public-key", str(key)]) == 1
    said = capsys.readouterr()
    assert (
        "nothing here is signed, so no key can prove who wrote it. The hashes of the chains match" in said.err
    )
    assert "UNPROVEN" in said.out


def test_a_forged_signature_that_names_the_key_is_no_other_key(folder: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    path = signed_chain(folder, key)
    path.write_bytes(path.read_bytes().replace(b'"signature":"', b'"signature":"00'))
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public)]) == 1
    said = capsys.readouterr()
    assert "ALTERED" in said.out
    assert said.err == ""


def plain_chain(folder: Path) -> Path:
    """A chain that nobody signed."""
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.close(CLOSED)
    return sink.path


def test_a_chain_from_before_the_key_is_listed_as_not_signed(folder: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    before = plain_chain(folder)
    signed = signed_chain(folder, key)
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public)]) == 0
    said = capsys.readouterr().out
    assert f"unsigned  {before.name}:" in said
    assert (
        f"note: held by {signed.name}, not signed: it existed then, but nothing proves who wrote it" in said
    )
    assert said.endswith("chains: 2, altered or missing: 0, not signed: 1\n")
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public), "--json"]) == 0
    chains = {one["file"]: one for one in json.loads(capsys.readouterr().out)["chains"]}
    assert (chains[before.name]["held_by"], chains[signed.name]["held_by"]) == (signed.name, "")


def test_what_was_planted_while_a_process_signs_is_found_although_it_holds_it(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    key = SigningKey(Secret(new_key()))
    sink = AuditFile(folder)
    sink.signer = key
    sink.write(OPENED)
    sink.commit()
    chain = Chain()
    records = (replace(OPENED, principal="os-user:victim"), DECIDED, OUTCOME, CLOSED)
    planted = folder / "20200101T010101Z-777-deadbeef.jsonl"
    planted.write_bytes(b"".join(chain.seal(record) for record in records))
    sink.checkpoint(sink.others.take_unanchored(sink.path.name))
    sink.close(CLOSED)
    verify = ["audit", "verify", str(folder), "--public-key", str(key.public)]
    assert main(verify) == 0
    said = capsys.readouterr().out
    assert (
        f"note: held by {sink.path.name}, not signed: it existed then, but nothing proves who wrote it"
        in said
    )
    assert said.endswith("chains: 2, altered or missing: 0, not signed: 1\n")
    # A person who knows where it is from keeps its head.
    assert main([*verify, "--expect", f"{planted.name}:{chain.head}"]) == 0
    assert "not signed" not in capsys.readouterr().out


def test_lines_that_were_put_behind_the_last_signature_are_counted_whoever_holds_them(
    folder: Path, capsys: Capture
) -> None:
    key = SigningKey(Secret(new_key()))
    killed = signed_chain(folder, key, last=False)
    kept = killed.read_bytes().splitlines(keepends=True)[:3]
    chain = Chain()
    chain.rewind((3, json.loads(kept[-1])["hash"].encode()))
    forged = [chain.seal(record) for record in (OUTCOME, replace(DECIDED, principal="os-user:mallory"))]
    killed.write_bytes(b"".join([*kept, *forged]))
    signed_chain(folder, key)
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public)]) == 0
    assert "note: 2 records came after the last signature" in capsys.readouterr().out


def test_only_a_proven_statement_excuses_the_loss_of_a_head_that_was_kept(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    key = SigningKey(Secret(new_key()))
    gone = signed_chain(folder, key)
    main(["audit", "heads", str(folder)])
    heads = tmp_path / "heads"
    heads.write_text(capsys.readouterr().out)
    gone.unlink()
    later = "20991231T235959Z-1-a.jsonl"
    verify = ["audit", "verify", str(folder), "--heads", str(heads)]
    with_key = [*verify, "--public-key", str(key.public)]
    for signer in (None, key):
        chain = Chain()
        lines = [chain.seal(OPENED)]
        record = Checkpoint(datetime(2026, 8, 1, tzinfo=UTC), (), 1, gone.name)
        lines.append(chain.seal(record if signer is None else signer.signed(record, later, chain.head)))
        (folder / later).write_bytes(b"".join(lines))
        assert main(verify) == 1
        said = capsys.readouterr().out
        assert (
            f"MISSING {gone.name}: its head is expected (--expect, --heads); removed on purpose, as the "
            "evidence says without proof\n"
            f"no kept head proves that chains up to {gone.name} were removed on purpose: if you know that they "
            f"were, add `--removed-until {gone.name}`\n"
        ) in said
        assert main([*verify, "--removed-until", gone.name]) == 0
        proven = ["--expect", f"{later}:{chain.head}"]
        assert main([*verify, *proven]) == 0
        capsys.readouterr()
        # With a key nothing else proves it: others may be able to add to the place of the heads.
        assert main([*with_key, *proven]) == (1 if signer is None else 0)
        if signer is None:
            assert f"no signature proves that chains up to {gone.name} were" in capsys.readouterr().out
        else:
            assert main(with_key) == 0


def test_of_the_heads_of_a_folder_only_its_own_are_looked_for_in_a_single_chain(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    one, _other = plain_chain(folder), plain_chain(folder)
    main(["audit", "heads", str(folder)])
    heads = tmp_path / "heads"
    heads.write_text(capsys.readouterr().out)
    verify = ["audit", "verify", str(one), "--heads", str(heads)]
    assert main(verify) == 0
    lines = one.read_bytes().splitlines(keepends=True)
    one.write_bytes(lines[0])
    assert main(verify) == 1
    one.write_bytes(b"".join(lines))
    # A chain that was renamed has none.
    verify[2] = str(one.rename(folder / "20260801T070000Z-1-a.jsonl"))
    assert main(verify) == 1
    assert f"MISSING {one.name}" in capsys.readouterr().out


def test_heads_are_read_as_a_collector_keeps_what_was_posted(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    chain = plain_chain(folder)
    main(["audit", "heads", str(folder)])
    name, _, head = capsys.readouterr().out.strip().partition(":")
    heads = tmp_path / "heads"
    heads.write_text(
        json.dumps({"at": "2026-08-01T07:00:00Z", "file": name, "head": head}) + f"\n\n{name}:{head}\n"
    )
    verify = ["audit", "verify", str(folder), "--heads", str(heads)]
    assert main(verify) == 0
    chain.write_bytes(chain.read_bytes().splitlines(keepends=True)[0])
    assert main(verify) == 1
    for wrong in ({"file": name}, {"file": name, "head": "x"}):
        heads.write_text(json.dumps(wrong))
        assert main(verify) == 2
        assert "or a JSON object with `file` and `head`" in capsys.readouterr().err


def test_where_all_chains_are_gone_those_with_a_kept_head_are_missing(folder: Path, capsys: Capture) -> None:
    gone = plain_chain(folder)
    verify = ["audit", "verify", str(folder), "--expect", f"{gone.name}:{'a' * 64}"]
    for remove in (gone.unlink, folder.rmdir):
        remove()
        assert main(verify) == 1
        said = capsys.readouterr().out
        assert f"MISSING {gone.name}: its head is expected (--expect, --heads)" in said
        assert said.endswith("chains: 0, altered or missing: 1\n")
        assert main(verify[:3]) == 2
        assert "nothing is on record yet, or the evidence was removed" in capsys.readouterr().err


def test_a_chain_that_somebody_wrote_again_without_the_key_is_found(folder: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    path = signed_chain(folder, key)
    chain = Chain()
    forged = [chain.seal(record) for record in (OPENED, DECIDED, OUTCOME)]
    stolen = next(line for line in path.read_bytes().splitlines() if b'"signature"' in line)
    signature = json.loads(stolen)["signature"]
    at = datetime(2026, 8, 1, tzinfo=UTC)
    forged.append(chain.seal(Checkpoint(at, key=key.public.id, signature=signature)))
    forged.append(chain.seal(CLOSED))
    path.write_bytes(b"".join(forged))
    assert main(["audit", "verify", str(folder)]) == 0
    assert main(["audit", "verify", str(folder), "--public-key", str(key.public)]) == 1
    assert "not by this key for this place in this file" in capsys.readouterr().out


@pytest.mark.parametrize(("hash_of", "said"), [(b"", "nothing was altered"), (b"sha3-", "cannot check it")])
def test_a_chain_of_a_newer_mcpguard_is_neither_intact_nor_altered(
    folder: Path, capsys: Capture, hash_of: bytes, said: str
) -> None:
    folder.mkdir()
    line = Chain().seal(replace(OPENED, format=FORMAT + 1, version="9.9.0"))
    head = json.loads(line)["hash"].encode()
    (folder / "20260801T070000Z-1-0.jsonl").write_bytes(line.replace(head, hash_of + head[len(hash_of) :]))
    assert main(["audit", "verify", str(folder)]) == 3
    out = capsys.readouterr().out
    assert out.startswith("NEWER ")
    assert f"written by a newer mcpguard (9.9.0, format {FORMAT + 1})" in out
    assert said in out
    assert out.endswith("chains: 1, altered or missing: 0, written by a newer mcpguard: 1\n")
    assert main(["audit", "verify", str(folder), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["intact"], bool(report["chains"][0]["newer"])) == (False, True)


def test_records_after_the_last_signature_are_counted(folder: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    path = signed_chain(folder, key, last=False)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.write(DECIDED)
    sink.commit()
    sink.signer = key
    sink.checkpoint(())
    sink.write(OUTCOME)
    sink.write(DECIDED)
    sink.commit()
    assert main(["audit", "verify", str(sink.path), "--public-key", str(key.public)]) == 0
    assert "note: 2 records came after the last signature" in capsys.readouterr().out


def test_heads_are_printed_as_verify_takes_them(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    paths = sorted([signed_chain(folder, key), signed_chain(folder, key)])
    assert main(["audit", "heads", str(folder)]) == 0
    heads = capsys.readouterr().out
    assert [line.rpartition(":")[0] for line in heads.splitlines()] == [path.name for path in paths]
    (tmp_path / "heads").write_text(heads)
    assert main(["audit", "verify", str(folder), "--heads", str(tmp_path / "heads")]) == 0
    assert main(["audit", "heads", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [f"{one['file']}:{one['head']}" for one in shown] == heads.splitlines()
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
        assert main(["audit", "verify", str(folder), "--heads", str(tmp_path / "heads")]) == 1
        path.write_bytes(whole)
    torn = folder / "torn.jsonl"
    torn.write_bytes(b'{"kind":"op')
    capsys.readouterr()
    assert main(["audit", "heads", str(torn)]) == 0
    assert capsys.readouterr().out == f"torn.jsonl:{'0' * 64}\n"


@pytest.mark.parametrize("end", [r"\u001b]0;x\u0007", r"x\nintact  b.jsonl", "F" * 64])
def test_what_stands_in_place_of_a_head_is_not_printed(folder: Path, capsys: Capture, end: str) -> None:
    signed_chain(folder, SigningKey(Secret(new_key())))
    record = f'{{"kind":"closed","seq":1,"prev":"","hash":"{end}"}}\n'
    for name, line in (("a", record), ("b", "\033]0;x\a\n" + record)):
        (folder / f"{name}.jsonl").write_text(line)
    assert main(["audit", "verify", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "ALTERED  a.jsonl:no hash  1 records" in said
    assert main(["audit", "heads", str(folder)]) == 1
    listed = capsys.readouterr()
    assert not [line for line in listed.out.splitlines() if line.startswith(("a.", "b."))]
    assert "b.jsonl was altered" in listed.err
    assert not {"\033", "\a"}.intersection(said + listed.out + listed.err)
    assert [line for line in said.splitlines() if line.startswith("intact  b")] == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--heads", "gone", "the heads in gone cannot be read: No such file"),
        ("--public-key", "gone", "--public-key takes a key, which begins with `mcpguard-audit-public-1:`"),
        ("--heads", "empty", "empty contains no heads, so it proves nothing"),
        ("--heads", "notes.yaml", "notes.yaml is not a file of heads: each line is FILE:HASH"),
        ("--public-key", "mcpguard-audit-public-1:xx", "`mcpguard-audit-public-1:` and 32 bytes in base64"),
        ("--removed-until", "nosuch", "--removed-until takes the name of a chain"),
        ("--expect", "f" * 64, "--expect takes FILE:HASH"),
    ],
)
def test_what_cannot_be_compared_with_is_wrong_usage(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, option: str, value: str, said: str
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("notes.yaml").write_text("version: 1\n")
    Path("empty").write_text("\n")
    signed_chain(folder, SigningKey(Secret(new_key())))
    assert main(["audit", "verify", str(folder), option, value]) == 2
    assert said in capsys.readouterr().err


def test_what_was_removed_on_purpose_is_said(folder: Path, capsys: Capture) -> None:
    sink = AuditFile(folder)
    sink.write(OPENED)
    sink.checkpoint((), 3, "20260801T070000Z-1-a.jsonl")
    sink.close(CLOSED)
    assert main(["audit", "verify", str(folder)]) == 0
    said = "removed on purpose, as the evidence says: all chains up to 20260801T070000Z-1-a.jsonl\n"
    assert said in capsys.readouterr().out
    assert main(["audit", "verify", str(folder), "--json"]) == 0
    removed = json.loads(capsys.readouterr().out)["removed"]
    assert removed == {"until": "20260801T070000Z-1-a.jsonl", "count": 3}


def test_show_says_what_a_checkpoint_is_about(folder: Path, capsys: Capture) -> None:
    key = SigningKey(Secret(new_key()))
    other = signed_chain(folder, key)
    sink = AuditFile(folder)
    sink.signer = key
    sink.write(OPENED)
    sink.checkpoint((Anchor(other.name, "a" * 64),), 3, "20260801T070000Z-1-a.jsonl")
    sink.commit()
    assert main(["audit", "show", str(sink.path), "-n", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"checkpoint signed by {key.public.id}; holds the heads of 1 other chain; 3 old" in said
    assert said.endswith("chains removed, up to 20260801T070000Z-1-a.jsonl")
