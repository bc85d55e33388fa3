"""What cannot be started without Docker is at least held against the tree: compose file, image, dashboards, CI."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

import services.capture.metrics
import shared.metrics
from deploy import livez
from deploy.kafka_jars import kafka_version
from shared.settings import Settings
from tests.support.servers import KAFKA_IMAGE, POSTGRES_IMAGE

PROJECT = Path(__file__).parents[2]
SERVICES = {"capture": 8001, "scoring": 8002, "nurture": 8003, "handover": 8004, "insights": 8005}
DOCKERFILE = (PROJECT / "deploy/Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


# --- docker-compose.yml


def test_every_container_says_when_it_is_healthy(compose: dict[str, Any]) -> None:
    without = [name for name, service in compose["services"].items() if not service.get("healthcheck", {}).get("test")]
    assert without == []


def test_the_five_services_are_built_from_one_dockerfile_and_have_their_fixed_ports(compose: dict[str, Any]) -> None:
    for name, port in SERVICES.items():
        service = compose["services"][name]
        assert service["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile", "args": {"SERVICE": name}}
        assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert Settings.model_fields[f"{name}_port"].default == port


def test_nothing_is_open_to_other_machines(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def variables(settings: type[Settings]) -> set[str]:
    """The environment variables that a service's settings are read from."""
    prefix = settings.model_config.get("env_prefix", "")
    return {str(field.validation_alias or f"{prefix}{name}".upper()) for name, field in settings.model_fields.items()}


def test_every_setting_given_to_the_services_is_one_they_read(compose: dict[str, Any]) -> None:
    for name in SERVICES:
        given = set(compose["services"][name]["environment"])
        assert given <= variables(import_module(f"services.{name}.app").service.settings)
        assert {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "SMTP_URL", "LEADLINE_API_KEY"} <= given


def test_the_settings_given_to_the_services_are_accepted(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in compose["services"]["capture"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value))
    monkeypatch.setenv("LEADLINE_API_KEY", "0123456789abcdef")
    settings = Settings.load()
    assert settings.public_url_of("insights") == "http://localhost:8005"
    assert settings.kafka_bootstrap_servers == "kafka:29092"


def test_nobody_waits_for_a_service_and_whoever_waits_waits_for_health(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            assert needed not in SERVICES, "a service starts whether or not another is up"
            assert how == {"condition": "service_healthy"}


def test_the_addresses_given_name_containers_and_ports_that_are_there(compose: dict[str, Any]) -> None:
    environment = compose["services"]["capture"]["environment"]
    assert "@postgres:5432/" in environment["DATABASE_URL"]
    assert environment["SMTP_URL"] == "smtp://mailpit:1025"
    broker = compose["services"]["kafka"]["environment"]
    assert f"INTERNAL://{environment['KAFKA_BOOTSTRAP_SERVERS']}" in broker["KAFKA_ADVERTISED_LISTENERS"]
    listeners = {entry.split("://")[0] for entry in broker["KAFKA_LISTENERS"].split(",")}
    mapped = {entry.split(":")[0] for entry in broker["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert listeners == mapped == {"INTERNAL", "HOST", "CONTROLLER"}


def test_dashboards_are_started_only_on_request(compose: dict[str, Any]) -> None:
    on_request = {name for name, service in compose["services"].items() if service.get("profiles") == ["observe"]}
    assert on_request == {"prometheus", "grafana"}


def test_the_same_versions_run_in_containers_in_tests_and_without_docker(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["image"] == KAFKA_IMAGE == f"apache/kafka:{kafka_version()}"
    assert compose["services"]["postgres"]["image"] == POSTGRES_IMAGE
    assert all(":" in service["image"] for name, service in compose["services"].items() if name not in SERVICES)


def test_every_mounted_file_is_in_the_tree(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    for mount in mounts:
        source = mount.split(":")[0]
        assert (PROJECT / source).exists() if source.startswith(".") else source in compose["volumes"]


def test_docker_compose_itself_reads_the_file() -> None:
    version = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(version, capture_output=True, check=False).returncode != 0:
        pytest.skip("the docker compose command is not installed here")
    command = ["docker", "compose", "--profile", "observe", "config", "--quiet"]
    outcome = subprocess.run(
        command,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env={"LEADLINE_API_KEY": "k", "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    assert outcome.returncode == 0, outcome.stderr


# --- Dockerfile


def copied_from_context() -> list[tuple[str, str]]:
    """(source, destination) of each COPY in the Dockerfile that takes from the working copy."""
    return re.findall(r"^COPY (?!--from)(\S+) (\S+)$", DOCKERFILE, flags=re.MULTILINE)


def ignored(path: str) -> bool:
    """Whether `.dockerignore` keeps a path out: the last line that matches it, or a folder above it, decides."""
    out = False
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").rstrip("/").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        above = [path, *(str(parent) for parent in Path(path).parents)]
        if any(fnmatch(each, pattern) or fnmatch(Path(each).name, pattern) for each in above):
            out = not line.startswith("!")
    return out


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The `/app` folder of each service's image, laid out as the Dockerfile's COPY lines say."""
    made = {}
    for service in SERVICES:
        root = tmp_path_factory.mktemp(service)
        for source, destination in copied_from_context():
            if not destination.startswith("/app"):
                continue
            place = root / destination.replace("${SERVICE}", service).lstrip("/")
            origin = PROJECT / source.replace("${SERVICE}", service)
            place.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, place)
        made[service] = root / "app"
    return made


def python_in(image: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=image, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )


PEEK = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(name, "can be imported")
    except ModuleNotFoundError as missing:
        print(missing)
"""


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_its_service_and_cannot_even_import_another(images: dict[str, Path], service: str) -> None:
    # Its own code answers, with all that it imports loaded: it knows its parts, and this is none of them.
    runs = python_in(images[service], "-m", f"services.{service}", "juggle")
    assert f"{service} has no part 'juggle'" in runs.stderr, runs.stderr
    others = [f"services.{other}" for other in SERVICES if other != service]
    found = python_in(images[service], "-c", PEEK, *others).stdout
    assert found.splitlines() == [f"No module named '{other}'" for other in others]


def test_the_image_gets_what_it_copies_and_nothing_of_the_rest() -> None:
    for source, _ in copied_from_context():
        name = source.replace("${SERVICE}", "capture").rstrip("/")
        assert (PROJECT / name).exists()
        assert not ignored(name)
    for name in (
        ".git/config",
        ".env",
        ".leadline/postgres/PG_VERSION",
        "tests/conftest.py",
        "shared/__pycache__/x.pyc",
    ):
        assert ignored(name), name


def test_the_image_installs_only_locked_packages_and_runs_as_nobody_special() -> None:
    assert "--require-hashes -r /tmp/requirements.lock" in DOCKERFILE
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", last_stage, flags=re.MULTILINE)
    assert "ARG SERVICE" in last_stage
    assert "exec python -m services.$SERVICE" in last_stage


def test_the_entry_point_passes_on_which_part_to_run(tmp_path: Path) -> None:
    entry = json.loads(re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE, flags=re.MULTILINE).group(1))  # type: ignore[union-attr]
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "capture.py").write_text("import sys; print(sys.argv[1:])")
    (tmp_path / "python").symlink_to(sys.executable)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SERVICE": "capture"}
    for arguments in ([], ["relay"], ["api", "consume"]):
        said = subprocess.run(
            [*entry, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout
        assert said == f"{arguments}\n"


# --- health check


class Answer(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def answering_port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_health_check_knows_every_service_and_its_port_setting() -> None:
    assert livez.PORTS == SERVICES
    assert livez.port({"SERVICE": "scoring"}) == 8002
    assert livez.port({"SERVICE": "scoring", "SCORING_PORT": "9000"}) == 9000


def test_the_health_check_tells_an_answering_service_from_a_failing_and_a_silent_one(
    answering_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-S", str(PROJECT / "deploy/livez.py")]

    def exit_code(port: int) -> int:
        environment = {"SERVICE": "capture", "CAPTURE_PORT": str(port)}
        return subprocess.run(command, env=environment, check=False).returncode

    assert exit_code(answering_port) == 0
    monkeypatch.setattr(Answer, "status", 503)
    assert exit_code(answering_port) == 1
    assert exit_code(1) == 1


# --- dashboards


def test_prometheus_asks_every_service_where_it_listens() -> None:
    configuration = yaml.safe_load((PROJECT / "deploy/observe/prometheus.yml").read_text())
    targets = configuration["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"{name}:{port}" for name, port in SERVICES.items()]


def test_the_dashboard_shows_only_figures_that_services_export() -> None:
    known = vars(shared.metrics) | vars(services.capture.metrics)
    figures = [value for value in known.values() if isinstance(value, Counter | Gauge | Histogram)]
    exported = {family.name for figure in figures for family in figure.describe()}
    dashboard = json.loads((PROJECT / "deploy/observe/grafana/dashboards/leadline.json").read_text())
    shown = set(re.findall(r"leadline_\w+", json.dumps([panel["targets"] for panel in dashboard["panels"]])))
    assert shown
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown} <= exported


def test_the_dashboard_asks_the_data_source_that_is_set_up() -> None:
    sources = yaml.safe_load((PROJECT / "deploy/observe/grafana/datasources/prometheus.yml").read_text())
    assert [source["url"] for source in sources["datasources"]] == ["http://prometheus:9090"]
    dashboard = json.loads((PROJECT / "deploy/observe/grafana/dashboards/leadline.json").read_text())
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {sources["datasources"][0]["uid"]}


# --- make, CI and the lock


def test_the_locks_hold_every_declared_dependency_with_hashes_and_name_no_index() -> None:
    declared = (PROJECT / "pyproject.toml").read_text()
    runtime = (PROJECT / "requirements.lock").read_text()
    development = (PROJECT / "requirements-dev.lock").read_text()
    for text in (runtime, development):
        assert not re.search(r"https?://|--index|--find-links|--extra-index", text)
        packages = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in package for package in packages)
    names = re.findall(
        r'^  "([A-Za-z0-9-]+)', declared.partition("dependencies = [")[2].partition("\n]")[0], re.MULTILINE
    )
    assert len(names) > 20
    for name in names:
        assert re.search(rf"^{re.escape(name.lower())}==", runtime, flags=re.MULTILINE), name
    pinned = set(re.findall(r"^(\w\S*==\S+)", runtime, flags=re.MULTILINE))
    assert pinned <= set(re.findall(r"^(\w\S*==\S+)", development, flags=re.MULTILINE))


def test_make_alone_lists_the_commands() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    for command in ("run", "test", "lint", "topics", "up", "kafka", "setup"):
        assert re.search(rf"^  make {command} +\S", said, flags=re.MULTILINE), command


def test_ci_runs_the_same_two_commands_as_a_developer() -> None:
    script = PROJECT / ".ci/run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    lines = script.read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert "export CI=true" in lines
    assert lines[-2:] == ["make lint", "make test"]
    assert "  make audit" in lines
