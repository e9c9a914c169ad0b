"""The Helm chart: values by their schema, and the manifests where helm can be run."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from streams.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "cx-signals"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
SECURED = {
    "settings": {
        "bootstrap_servers": "kafka-0:9093,kafka-1:9093",
        "security_protocol": "SASL_SSL",
        "sasl_username": "cx",
        "sasl_password_file": "/etc/cx/secrets/sasl-password",
        "ssl_cafile": "/etc/cx/secrets/ca.pem",
        "forget_key_file": "/etc/cx/secrets/forget-key",
        "max_customers": 5_000_000,
        "sweep_interval_s": 0.5,
    },
    "policy": "[ledger]\nkappa = 5\n",
    "deliver": {"enabled": True},
    "keda": {"enabled": True, "maxReplicas": 50},
}


def valid(values: Any) -> bool:
    """Tell whether the schema takes `values`."""
    return jsonschema.Draft7Validator(SCHEMA).is_valid(values)


def test_the_values_follow_their_schema():
    """What the chart ships is what the schema takes, and the schema is one."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert valid(VALUES)
    assert valid({**VALUES, **SECURED, "settings": {**VALUES["settings"], **SECURED["settings"]}})


@pytest.mark.parametrize(
    "changes",
    [
        {"worker": {"replica": 3}},
        {"settings": {**VALUES["settings"], "static_id": "one"}},
        {"settings": {**VALUES["settings"], "api_token_file": "/etc/token"}},
        {"settings": {"api_token_file": "/etc/cx/secrets/api-token"}},
        {"secretName": ""},
    ],
    ids=["a typo", "one static name for all", "a token outside the secret", "no broker", "no secret"],
)
def test_values_that_cannot_work_are_refused(changes: dict[str, Any]):
    """A typo, and what the chart sets by itself, are errors before anything is installed."""
    assert not valid({**VALUES, **changes})


@pytest.mark.parametrize("given", [VALUES["settings"], SECURED["settings"]])
def test_every_setting_is_one_of_the_program(given: dict[str, Any]):
    """The chart names settings as the reference does."""
    assert set(given) <= set(Settings.__dataclass_fields__)


def test_rules_and_dashboards_are_those_of_the_repository():
    """The chart carries no copies: what is tested is what is installed."""
    for name in ("rules", "dashboards"):
        link = CHART / "files" / name
        assert link.is_symlink()
        assert link.resolve() == ROOT / "grafana" / name


def render(tmp_path: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the manifests that helm makes of the chart."""
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed: the chart is checked by its schema only")
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    done = subprocess.run(
        [helm, "template", "cx", str(CHART), "-n", "cx", "-f", str(path), "--kube-version", "1.31.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the manifests of a kind."""
    return [each for each in manifests if each["kind"] == kind]


def environment(workload: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a workload's container that have a value of their own."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


@pytest.mark.parametrize("values", [{}, SECURED], ids=["as shipped", "secured, with everything on"])
def test_no_pod_has_rights_or_a_root_to_write_on(tmp_path: Path, values: dict[str, Any]):
    """Every container of ours: not root, nothing to write but /tmp, no capabilities, no account's token."""
    manifests = render(tmp_path, values)
    workloads = of(manifests, "StatefulSet") + of(manifests, "Job")
    assert len(workloads) == (3 if values else 2)
    for workload in workloads:
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {each["name"] for each in container["volumeMounts"]} == {
            each["name"] for each in pod["volumes"]
        }


@pytest.mark.parametrize("values", [{}, SECURED], ids=["as shipped", "secured, with everything on"])
def test_every_variable_is_a_setting_with_a_good_value(tmp_path: Path, values: dict[str, Any]):
    """What the pods get, `cx` takes: whole numbers stay whole."""
    manifests = render(tmp_path, values)
    for workload in of(manifests, "StatefulSet") + of(manifests, "Job"):
        env = environment(workload)
        assert set(env) <= {f"CX_{name.upper()}" for name in Settings.__dataclass_fields__}
        found = load_settings(env=env, file=Path("/dev/null"))
        assert found.metrics_host == "0.0.0.0"  # noqa: S104  # inside of the pod, with a token
        assert Path(found.api_token_file).parent == Path("/etc/cx/secrets")
        assert found.max_customers == (5_000_000 if values else Settings().max_customers)


def test_workers_have_the_names_of_their_pods(tmp_path: Path):
    """A pod that comes back takes its partitions up again; a disruption leaves one worker at work."""
    manifests = render(tmp_path, {})
    (worker,) = of(manifests, "StatefulSet")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    assert {
        "name": "CX_STATIC_ID",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
    } in container["env"]
    (budget,) = of(manifests, "PodDisruptionBudget")
    labels = worker["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_prometheus_gets_the_rules_and_reads_the_jobs_by_their_names(tmp_path: Path):
    """Every group of every rule file is there, untouched; jobs are called as rules and dashboards say."""
    manifests = render(tmp_path, {"deliver": {"enabled": True}})
    installed = [group for each in of(manifests, "PrometheusRule") for group in each["spec"]["groups"]]
    files = (ROOT / "grafana" / "rules").glob("*.yml")
    wanted = [group for each in files for group in yaml.safe_load(each.read_text())["groups"]]
    assert {each["name"]: each for each in installed} == {each["name"]: each for each in wanted}
    assert len(installed) == len(wanted)
    jobs = {
        monitor["spec"]["endpoints"][0]["relabelings"][0]["replacement"]: monitor["spec"]["selector"]
        for monitor in of(manifests, "ServiceMonitor")
    }
    assert set(jobs) == {"cx-worker", "cx-deliver"}
    services = {each["metadata"]["name"]: each["metadata"]["labels"] for each in of(manifests, "Service")}
    for job, selector in jobs.items():
        assert selector["matchLabels"].items() <= services[f"cx-{job.removeprefix('cx-')}"].items()


def test_grafana_gets_the_dashboards(tmp_path: Path):
    """Each dashboard is a map of its own, byte for byte."""
    maps = of(render(tmp_path, {}), "ConfigMap")
    maps = [each for each in maps if "grafana_dashboard" in each["metadata"]["labels"]]
    shown = {name: content for each in maps for name, content in each["data"].items()}
    assert shown == {each.name: each.read_text() for each in (ROOT / "grafana" / "dashboards").glob("*.json")}


def test_keda_starts_no_worker_without_a_partition(tmp_path: Path):
    """More workers than partitions would idle; the number of replicas is left to KEDA alone."""
    manifests = render(tmp_path, SECURED)
    (scaled,) = of(manifests, "ScaledObject")
    assert scaled["spec"]["maxReplicaCount"] == VALUES["settings"]["partitions"]
    worker = next(each for each in of(manifests, "StatefulSet") if each["metadata"]["name"] == "cx-worker")
    assert "replicas" not in worker["spec"]
