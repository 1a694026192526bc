"""What configs/deploy has is right as far as it can be tried here: the image's steps, the unit and the chart."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcpguard import __version__
from mcpguard.config.minted import KubernetesEntry
from mcpguard.core.secret import sole_reference
from mcpguard.serve.app import loaded
from mcpguard.serve.handover import read
from mcpguard.serve.reloading import _KEPT
from tests.docs.pages import ROOT
from tests.rows import each

DEPLOY = ROOT / "configs" / "deploy"
CHART = DEPLOY / "helm"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
USER = 10001


# --- The image -------------------------------------------------------------------------------------
BUILDERS = ("podman", "docker", "buildah")
"""Of images; the first that is there builds."""


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def only(word: str) -> str:
    (rest,) = (rest for name, rest in instructions() if name == word)
    return rest


def test_the_image_runs_as_a_user_without_rights_and_checks_its_health() -> None:
    assert only("USER") == f"{USER}:{USER}"
    made_by, run_by = (rest.split()[0] for name, rest in instructions() if name == "FROM")
    assert made_by == run_by, "a virtual environment works with the Python that made it"
    assert only("VOLUME") == "/var/lib/mcpguard"
    assert "XDG_STATE_HOME=/var/lib/mcpguard/" in only("ENV")
    assert "/livez" in only("HEALTHCHECK")
    for word in ("ENTRYPOINT", "CMD"):
        assert yaml.safe_load(only(word)), "a list of words needs no shell"
    assert "--constraint /source/constraints.txt" in str(instructions())


def test_the_image_has_what_a_server_without_a_screen_may_use() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for_others = {"bench", "console", "dev"}
    assert set(only("ARG").removeprefix("EXTRAS=").split(",")) == extras.keys() - for_others
    assert any("/source[${EXTRAS}]" in rest for word, rest in instructions() if word == "RUN")


def test_what_the_image_starts_is_a_command_of_mcpguard() -> None:
    from mcpguard.cli.parser import Parser
    from mcpguard.cli.run import add_arguments

    words = yaml.safe_load(only("CMD"))
    parser = Parser()
    add_arguments(parser)
    assert parser.parse_args(words[1:]).http.endswith(f":{only('EXPOSE')}")


def test_what_the_image_copies_is_enough_to_build(tmp_path: Path) -> None:
    for word, rest in instructions():
        *names, target = rest.split()
        if word == "COPY" and not rest.startswith("--from"):
            for name in names:
                place = tmp_path / target.lstrip("/")
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    place.mkdir(exist_ok=True)
                    shutil.copy(ROOT / name, place)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(build, cwd=tmp_path / "source", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "source" / "dist").glob("mcpguard_gateway-*.whl"))) == 1


@pytest.mark.skipif(
    not any(map(shutil.which, BUILDERS)) or "MCPGUARD_IMAGE" not in os.environ,
    reason="needs podman, docker or buildah, and MCPGUARD_IMAGE=1: it fetches a base image",
)
def test_the_image_is_built_and_runs() -> None:
    builder = next(filter(shutil.which, BUILDERS))
    build = [builder, "build", *([] if builder == "docker" else ["--format", "docker"])]
    run = [builder, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "mcpguard-test"]
    if builder == "buildah":
        # Without the rights of a container's host it may not raise limits.
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        build += ["--isolation", "chroot", *limits]
    said = ["-f", str(DEPLOY / "Containerfile"), "-t", "mcpguard-test", "."]
    subprocess.run([*build, *said], cwd=ROOT, check=True)
    if builder == "buildah":
        begin = [builder, "from", *limits, "mcpguard-test"]
        container = subprocess.run(begin, check=True, capture_output=True, text=True).stdout.strip()
        run = [builder, "run", "--isolation", "chroot", container, "--", "mcpguard"]
    done = subprocess.run([*run, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"mcpguard {__version__}\n"


# --- The unit --------------------------------------------------------------------------------------


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: `.ci/run` installs it"
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


def installed(folder: Path, *names: str) -> list[str]:
    """The units with a program that is there."""
    for name in names:
        text = (DEPLOY / name).read_text()
        program = str(Path(sys.executable).with_name("mcpguard"))
        (folder / name).write_text(text.replace("/opt/mcpguard/bin/mcpguard", program))
    return [str(folder / name) for name in names]


def test_the_units_have_no_mistake(tmp_path: Path) -> None:
    done = analyze(
        "verify", "--man=no", *installed(tmp_path, *sorted(one.name for one in DEPLOY.glob("mcpguard.s*")))
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_hardened(tmp_path: Path) -> None:
    done = analyze("security", "--offline=yes", "--threshold=20", *installed(tmp_path, "mcpguard.service"))
    assert done.returncode == 0, done.stdout


def test_the_service_starts_a_command_of_mcpguard_and_waits_for_its_drain() -> None:
    text = (DEPLOY / "mcpguard.service").read_text()
    (start,) = re.findall(r"^ExecStart=/opt/mcpguard/bin/mcpguard (.*)$", text, re.MULTILINE)
    assert shlex.split(start)[0] == "run"
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(seconds) >= 5 + 4


# --- The chart -------------------------------------------------------------------------------------


def helm() -> Any:
    return pytest.importorskip("helm_python", reason="of the requirements for development")


def documents(**values: Any) -> dict[str, Any]:
    """What Helm makes of the chart, by kind."""
    with helm().Chart.load(CHART) as chart:
        texts = chart.render(values, name="guard", namespace="tools").values()
    found = [one for text in texts for one in yaml.safe_load_all(text) if one]
    return {one["kind"]: one for one in found}


def test_helm_finds_no_mistake_in_the_chart() -> None:
    found = helm().lint(CHART)
    assert (found["errors"], [one["error"] for one in found["messages"]]) == ([], ["icon is recommended"])


SHARED = 'session:\n  postgres: "${file:/run/credentials/mcpguard/state}"\n'
SEVERAL = {"replicas": 3, "config": VALUES["config"] + SHARED}


@each(
    ("values", "named"),
    [
        ({"polices": {"team.yaml": "version: 1"}}, "polices"),
        ({"evidence": {"storageclass": "fast"}}, "storageclass"),
        ({"policies": {"team": "version: 1"}}, "team"),
        ({"policies": {"team.yaml": {"version": 1}}}, "team.yaml"),
        ({"config": {"version": 1}}, "config"),
        ({"config": "servers: {}"}, "config"),
        ({"service": {"type": "clusterIP"}}, "type"),
        ({"network": {"egress": None}}, "egress"),
        ({"image": {"repository": ""}}, "repository"),
        ({"files": {"other.yaml": ""}}, "other.yaml"),
        ({"serviceAccount": {"token": "x"}}, "token"),
        ({"evidence": {"size": "10 GB"}}, "size"),
        ({"replicas": 0}, "replicas"),
        ({"env": {"SSL-CERT": "x"}}, "SSL-CERT"),
        ({"env": {"DEPTH": 1}}, "DEPTH"),
        ({"replicas": 3}, "replicas > 1 needs `session.postgres`"),
        ({**SEVERAL, "evidence": {"claim": "mine"}}, "replicas > 1 cannot share `evidence.claim`"),
    ],
)
def test_a_mistake_in_the_values_is_named_before_anything_is_installed(
    values: dict[str, Any], named: str
) -> None:
    with pytest.raises(helm().HelmError, match=named):
        documents(**values)


def test_the_chart_makes_every_kind_once_and_of_this_version() -> None:
    made = documents()
    assert set(made) == {"ConfigMap", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Service"}
    assert all(one["metadata"]["name"] == "guard" for one in made.values())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert chart["appVersion"] == __version__


def test_several_replicas_share_their_state_and_each_has_a_volume_for_its_evidence() -> None:
    made, one = documents(**SEVERAL), documents()
    assert set(made) ^ set(one) == {
        *("Deployment", "StatefulSet"),
        *("PersistentVolumeClaim", "PodDisruptionBudget"),
    }
    spec = made["StatefulSet"]["spec"]
    assert spec["replicas"] == 3
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"] == one["PersistentVolumeClaim"]["spec"]
    pods = [of["spec"]["template"]["spec"] for of in (one["Deployment"], made["StatefulSet"])]
    volumes = [{volume["name"] for volume in pod["volumes"]} for pod in pods]
    assert volumes[0] - volumes[1] == {claim["metadata"]["name"]} == {"evidence"}
    assert pods[0]["containers"] == pods[1]["containers"]
    assert made["Service"]["spec"]["sessionAffinity"] == "ClientIP"
    (spread,) = pods[1]["topologySpreadConstraints"]
    assert spread["labelSelector"] == spec["selector"]
    assert made["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_the_pod_has_no_rights_and_is_probed() -> None:
    pod = documents()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == f"registry.example/mcpguard:{__version__}"
    assert pod["securityContext"]["runAsUser"] == USER
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
    assert [probe["path"] for probe in probes] == ["/livez", "/readyz"]
    assert pod["terminationGracePeriodSeconds"] >= 5 + 4


def rolled(config: str, **values: Any) -> bool:
    """Whether the pod is replaced when the chart's configuration becomes `config`."""
    before, after = (
        documents(**one)["Deployment"]["spec"]["template"] for one in ({}, {"config": config, **values})
    )
    return bool(before != after)


RESTART: dict[str, dict[str, Any]] = {
    "http": {"http": {"allowed_hosts": ["other.example"]}},
    "audit": {"audit": {"keep_days": 30}},
    "session.path": {"session": {"path": "elsewhere"}},
    "session.postgres": {"session": {"postgres": "${file:/run/credentials/mcpguard/state}"}},
    "agent": {"agent": "desk"},
    "clients.prefix": {"clients": {"desk": {"servers": ["docs"], "prefix": "never"}}},
    "limits.message_bytes": {"limits": {"message_bytes": 1_000_000}},
    "the only server": {"servers": {"other": {"url": "https://tools.example/mcp"}}},
}
"""What cannot change while mcpguard runs, each with a change of it."""


@each("key", sorted({*RESTART, *_KEPT.values()}))
def test_a_change_that_needs_a_restart_replaces_the_pod(key: str) -> None:
    assert rolled(yaml.safe_dump({**yaml.safe_load(VALUES["config"]), **RESTART[key]}))


@each(
    ("change", "values"),
    [
        ({}, {}),
        ({}, {"policies": {"team.yaml": "version: 1\npolicy: other\nrules: []\n"}}),
        ({"limits": {"drain_seconds": 3}}, {}),
        ({"session": {"idle_seconds": 60}}, {}),
        ({"approvals": {"ttl_seconds": 60}}, {}),
        ({"session": None, "limits": None}, {}),
        ({"clients": {"desk": {"servers": ["docs"]}}}, {}),
        ({"servers": {"docs": {"url": "https://moved.example/mcp"}}}, {}),
    ],
)
def test_what_is_in_force_without_a_restart_keeps_the_pod(
    change: dict[str, Any], values: dict[str, Any]
) -> None:
    assert not rolled(yaml.safe_dump({**yaml.safe_load(VALUES["config"]), **change}), **values)


def test_each_mount_has_its_volume_and_selectors_agree() -> None:
    for values in ({}, {"credentials": ""}, {"evidence": {**VALUES["evidence"], "claim": "mine"}}):
        made = documents(**values)
        spec = made["Deployment"]["spec"]
        pod = spec["template"]["spec"]
        mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["volumes"]}
        assert ("credentials" in mounts) == (values.get("credentials") != "")
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels == made["Service"]["spec"]["selector"]
        assert made["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
        (claim,) = (
            v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if v["name"] == "evidence"
        )
        assert claim == (
            "mine" if "evidence" in values else made["PersistentVolumeClaim"]["metadata"]["name"]
        )
        assert ("PersistentVolumeClaim" in made) != ("evidence" in values)


def test_the_environment_of_the_pod_and_the_login_to_its_registry_are_values() -> None:
    image = {**VALUES["image"], "pullSecrets": [{"name": "login"}]}
    variable = {"name": "SSL_CERT_FILE", "value": "/etc/mcpguard/ca.pem"}
    values = {"image": image, "env": {variable["name"]: variable["value"]}, "files": {"ca.pem": "PEM"}}
    pod = documents(**values)["Deployment"]["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == image["pullSecrets"]
    assert pod["containers"][0]["env"] == [variable]
    plain = documents()["Deployment"]["spec"]["template"]["spec"]
    assert "imagePullSecrets" not in plain
    assert "env" not in plain["containers"][0]


def test_the_token_of_a_service_account_is_where_vault_looks_for_it_and_for_nothing_else() -> None:
    account = {"name": "guard", "audience": "vault"}
    for values in ({}, {"serviceAccount": account}):
        pod = documents(**values)["Deployment"]["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        mounted = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
        assert ("token" in mounted) == bool(values)
        assert ("serviceAccountName" in pod) == bool(values)
    (volume,) = (one for one in pod["volumes"] if one["name"] == "token")
    (source,) = volume["projected"]["sources"]
    default = sole_reference(KubernetesEntry(role="r").jwt).name
    assert f"{mounted['token']}/{source['serviceAccountToken']['path']}" == default
    assert source["serviceAccountToken"]["audience"] == "vault"
    assert volume["projected"]["defaultMode"] & 0o007 == 0


def test_further_files_are_beside_the_configuration() -> None:
    made = documents(files={"vault-ca.pem": "-----BEGIN CERTIFICATE-----"})["ConfigMap"]["data"]
    assert made["vault-ca.pem"].startswith("-----BEGIN")
    assert {"mcpguard.yaml", "team.yaml"} <= made.keys()


def test_the_configuration_of_the_chart_loads_and_can_be_served_off_loopback(tmp_path: Path) -> None:
    for name, text in documents()["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "mcpguard.yaml"
    settings = loaded(read(path), partial(read, path))
    assert settings.config.http.token is not None
    assert {server.name for server in settings.servers} == {"docs"}
    assert set(settings.policies.names) == {"team"}
