"""The stack of docker-compose.yml, read and not started: valid, closed to the net, and as `cx` is."""

import json
import re
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from streams.cli.main import cx
from streams.delivery.routes import load_routes
from streams.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).parents[1] / "data" / "compose-spec.json"
STACK: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
OURS = sorted(name for name, service in SERVICES.items() if service.get("build"))
SECRET_NAMES = re.compile(r"password|secret|token|api_?key", re.IGNORECASE)


def load(path: str) -> Any:
    """Return the content of a YAML file below grafana/."""
    return yaml.safe_load((ROOT / "grafana" / path).read_text())


def test_the_file_is_a_valid_compose_file():
    """Docker Compose would read the file: it follows the schema of the Compose Specification."""
    jsonschema.validate(STACK, json.loads(SCHEMA.read_text()), jsonschema.Draft7Validator)


def test_the_stack_is_whole():
    """Kafka, topics, two workers, the delivery, what watches them, and a producer are there."""
    cx = {"topics", "worker-1", "worker-2", "deliver", "producer"}
    assert set(SERVICES) == {"kafka", "prometheus", "alertmanager", "grafana"} | cx
    assert SERVICES["producer"]["profiles"] == ["demo"]
    assert not any("profiles" in service for name, service in SERVICES.items() if name != "producer")


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_published_on_the_loopback_address_only(name: str):
    """Nobody reaches the stack from another machine."""
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert SERVICES[name].get("network_mode") is None


def test_no_two_services_publish_the_same_port():
    """The stack can start on one machine: no port is taken twice."""
    published = [port.split(":")[1] for each in SERVICES.values() for port in each.get("ports", [])]
    assert len(published) == len(set(published))


def test_every_image_is_pinned_to_a_version():
    """The same file gives the same stack next year: no image without a full version."""
    images = [each["image"] for each in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == len(SERVICES) + 2
    for image in images:
        assert re.fullmatch(r"[a-z0-9/.-]+:v?\d+\.\d+\.\d+(-[a-z0-9-]+)?", image)


def test_there_is_no_password_in_the_file():
    """Whatever is named like a secret has no value here: the stack asks for it and refuses without."""
    secrets = {
        key: value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if SECRET_NAMES.search(key) and not key.endswith("_FILE")
    }
    secrets |= {name: each["file"] for name, each in STACK["configs"].items()}
    assert set(secrets) == {"GF_SECURITY_ADMIN_PASSWORD", "api_token", "forget_key"}
    for value in secrets.values():
        assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value)


@pytest.mark.parametrize("name", OURS)
def test_every_command_line_exists_in_the_program(name: str):
    """Each service of ours calls a command of `cx` with options and values that it takes."""
    command, arguments = cx, [str(each) for each in SERVICES[name]["command"]]
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments.pop(0))
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    assert command.make_context(name, arguments).params is not None


@pytest.mark.parametrize("name", OURS)
def test_every_setting_of_a_service_exists_and_has_a_good_value(name: str):
    """Each CX_ variable in the file is a setting, and its value is accepted."""
    given = SERVICES[name]["environment"]
    env = {key: re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value) for key, value in given.items()}  # as Compose would
    known = {f"CX_{each.upper()}" for each in Settings.__dataclass_fields__}
    assert set(env) <= known
    assert load_settings(env=env, file=Path("/dev/null")).bootstrap_servers == "kafka:19092"


def test_workers_wait_for_topics_and_topics_for_kafka():
    """A worker starts when its topics exist, which are made when the broker is healthy."""
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for worker in ("worker-1", "worker-2"):
        assert SERVICES[worker]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_workers_have_names_of_their_own():
    """Two workers with one static name would fence each other for ever."""
    names = [SERVICES[worker]["environment"]["CX_STATIC_ID"] for worker in ("worker-1", "worker-2")]
    assert names == ["worker-1", "worker-2"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"topics", "producer"}))
def test_every_service_that_stays_tells_its_health(name: str):
    """Compose restarts and waits by health: each long-running service has a check."""
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_hold_no_rights(name: str):
    """Our containers cannot write their image, gain rights or keep capabilities."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_what_is_mounted_on_a_read_only_root_is_a_file(name: str):
    """Compose writes other contents into the container, and refuses where its root is read-only."""
    wanted = SERVICES[name].get("configs", [])
    assert all(set(STACK["configs"][each]) == {"file"} for each in wanted)


def test_prometheus_keeps_what_the_rules_look_back_to():
    """Objectives look back 30 days, a channel's usual hour four weeks; by itself Prometheus keeps 15 days."""
    (kept,) = [each for each in SERVICES["prometheus"]["command"] if "retention.time" in each]
    rules = "".join(path.read_text() for path in (ROOT / "grafana" / "rules").glob("*.yml"))
    looked_back = re.findall(r"(?:\[|offset )(\d+)([dw])", rules)
    longest = max(int(number) * {"d": 1, "w": 7}[unit] for number, unit in looked_back)
    assert longest == 30
    assert int(re.fullmatch(r".*=(\d+)d", kept)[1]) > longest  # type: ignore[index]  # fails where it does not match


def test_the_broker_makes_no_topic_by_itself_and_keeps_its_data():
    """Kafka's data is on a volume, and a reader's question creates no topic without compaction."""
    kafka = SERVICES["kafka"]
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]


def test_the_image_is_built_in_stages_and_does_not_run_as_root():
    """The last stage has no build tools and runs `cx` as a user without rights."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert sum(line.startswith("FROM ") for line in lines) == 2
    assert "USER 10001" in last
    assert 'ENTRYPOINT ["cx"]' in last
    assert not any(line.startswith("RUN pip") for line in last)


def test_the_image_is_built_from_what_is_pinned_and_sent_to_it():
    """Every file that the build copies is let through, and packages have the versions that tests ran with."""
    text = (ROOT / "Dockerfile").read_text()
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    let_through = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == let_through
    assert "--constraint constraints.txt" in text


def test_the_image_runs_compiled_modules_of_its_own():
    """The build compiles for the Python that runs them, and takes no module that somebody built elsewhere."""
    text = (ROOT / "Dockerfile").read_text()
    builds, runs = re.findall(r"^FROM python:(\d+\.\d+)", text, re.MULTILINE)
    into = re.findall(r"compile_core\.py --into /opt/cx/lib/python(\d+\.\d+)/site-packages", text)
    assert into == [builds] == [runs]
    assert "**/*.so" in (ROOT / ".dockerignore").read_text().splitlines()


def test_prometheus_reads_both_workers():
    """The targets are the workers of the file, on the port that they listen on, with their token."""
    job = load("prometheus.yml")["scrape_configs"][0]
    targets = job["static_configs"][0]["targets"]
    assert targets == [f"{worker}:{Settings().metrics_port}" for worker in ("worker-1", "worker-2")]
    token = SERVICES["worker-1"]["environment"]["CX_API_TOKEN_FILE"]
    assert job["authorization"]["credentials_file"] == token == "/api_token"
    assert all("api_token" in SERVICES[name]["configs"] for name in ("worker-1", "worker-2", "prometheus"))


def test_prometheus_reads_the_delivery_its_rules_and_its_alertmanager():
    """What the rules need is scraped, the rules are where the configuration looks, and somebody is told."""
    read = load("prometheus.yml")
    (job,) = [each for each in read["scrape_configs"] if each["job_name"] == "cx-deliver"]
    assert job["static_configs"][0]["targets"] == [f"deliver:{Settings().deliver_metrics_port}"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["prometheus"]["volumes"])
    assert read["rule_files"] == [f"{mounts['./grafana/rules']}/*.yml"]
    assert read["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["alertmanager:9093"]


def test_nobody_is_told_before_a_receiver_is_named():
    """The routes that the stack starts with are valid, and lead nowhere."""
    assert load_routes(ROOT / "deploy" / "routes.toml").default == "nowhere"


def test_grafana_finds_prometheus_and_the_dashboards():
    """The data source is the file's Prometheus, and dashboards are read where they are mounted."""
    (source,) = load("provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = load("provisioning/dashboards/cx.yml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert (ROOT / "grafana" / "dashboards").is_dir()


def test_every_mounted_file_exists():
    """A mount of a missing path would silently become an empty folder."""
    mounts = [volume.split(":")[0] for each in SERVICES.values() for volume in each.get("volumes", [])]
    assert all((ROOT / mount).exists() for mount in mounts if mount.startswith("./"))
    assert {mount for mount in mounts if not mount.startswith("./")} == set(STACK["volumes"])


def test_the_workers_clock_can_be_chosen():
    """Workers run on the wall clock, or on the one that CX_CLOCK names: a demo's events are of the past."""
    for name in ("worker-1", "worker-2"):
        assert SERVICES[name]["environment"]["CX_CLOCK"] == "${CX_CLOCK:-wall}"


def test_the_readme_exports_what_the_stack_requires():
    """Every variable without which Compose refuses to start stands in the README's row."""
    wanted = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    (row,) = [each for each in (ROOT / "README.md").read_text().splitlines() if "docker compose up" in each]
    assert wanted
    assert wanted <= set(re.findall(r"(\w+)=", row))
