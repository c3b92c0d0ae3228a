"""What can be said of ansible/ without a machine; tests/deployment.py applies it to one."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from fedora_messaging.config import LazyConfig

from statscache.config import Config

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "ansible"
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
STACK = ANSIBLE / "roles/cdn/files/stack.template"
BIN = Path(sys.executable).parent
ANALYZE = shutil.which("systemd-analyze")


def test_roles_are_clean_by_the_strictest_rules() -> None:
    """ansible-lint finds nothing by its profile `production`."""
    done = subprocess.run(
        [BIN / "ansible-lint", "--offline", "--profile", "production", "--nocolor", "ansible"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_example_inventory_fits_the_roles() -> None:
    """Each group of the example is one that `deploy.yml` plays on."""
    plays = yaml.safe_load((ANSIBLE / "deploy.yml").read_text("utf-8"))
    example = yaml.safe_load((ANSIBLE / "inventory.example.yml").read_text("utf-8"))
    assert set(example["all"]["children"]) == {play["hosts"] for play in plays}


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_described(role: str) -> None:
    """What has a default is described with the same default, and what is described has one or must be given."""
    directory = ANSIBLE / "roles" / role
    defaults = yaml.safe_load((directory / "defaults/main.yml").read_text("utf-8"))
    specifications = yaml.safe_load((directory / "meta/argument_specs.yml").read_text("utf-8"))
    options = specifications["argument_specs"]["main"]["options"]
    assert {name for name, option in options.items() if not option.get("required")} == set(defaults)
    described = {name: option["default"] for name, option in options.items() if "default" in option}
    assert described == {name: defaults[name] for name in described}


SYSTEMS = {
    "Debian 12": ("Debian", "Debian", "12"),
    "Fedora 44": ("RedHat", "Fedora", "44"),
    "RHEL 9": ("RedHat", "RedHat", "9"),
    "RHEL 10": ("RedHat", "RedHat", "10"),
    "Alma 9": ("RedHat", "AlmaLinux", "9"),
}
"""Facts of systems: family, distribution, major version."""

UNITS = ("statscache.service", "statscache-consume.service", "statscache-publish.service", "statscache-publish.timer")
TEMPLATES = (*UNITS, "statscache.toml", "fedora-messaging.toml", "environment")


def render(out: Path, *systems: str, **variables: Any) -> dict[str, Any]:
    """Render the templates of the role statscache with the facts of systems, into a directory of `out` for each.

    Returns:
        The role's variables that depend on the system, for each.
    """
    role = ANSIBLE / "roles/statscache"
    looked_up = [f"'{name}': lookup('template', '{role}/templates/{name}.j2')" for name in TEMPLATES]
    derived = "'derived': {'system': statscache_system, 'as_service': statscache_as_service}"
    tasks: list[dict[str, Any]] = []
    for number, system in enumerate(systems):
        family, distribution, major = SYSTEMS[system]
        facts = {"os_family": family, "distribution": distribution, "distribution_major_version": major}
        tasks.append({"ansible.builtin.set_fact": {**facts, "cacheable": True}})
        tasks.append({"ansible.builtin.set_fact": {f"of_{number}": "{{ {" + ", ".join([*looked_up, derived]) + "} }}"}})
    names = ", ".join(f"of_{number}" for number in range(len(systems)))
    written = {"content": "{{ [" + names + "] | to_json }}", "dest": f"{out}/all.json"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [f"{role}/defaults/main.yml", f"{role}/vars/main.yml"],
        "tasks": [*tasks, {"ansible.builtin.copy": written}],
    }
    (out / "play.json").write_text(json.dumps([play]), "utf-8")
    extra = {"statscache_release": "0.1.0", "ansible_python_interpreter": sys.executable, **variables}
    done = subprocess.run(
        [BIN / "ansible-playbook", "--inventory=localhost,", f"--extra-vars={json.dumps(extra)}", out / "play.json"],
        cwd=out,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(out / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rendered = dict(zip(systems, json.loads((out / "all.json").read_text("utf-8")), strict=True))
    for system in systems:
        (out / system).mkdir()
        for name in TEMPLATES:
            (out / system / name).write_text(rendered[system][name], "utf-8")
    return {system: rendered[system]["derived"] for system in systems}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The directory with what each system gets, and the variables that depend on it."""
    out = tmp_path_factory.mktemp("systems")
    return out, render(out, *SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_gets_what_it_has(system: str, rendered: tuple[Path, dict[str, Any]]) -> None:
    """Python, packages and PostgreSQL's first files are those of the system; the units are sound."""
    directory, derived = rendered[0] / system, rendered[1][system]["system"]
    has_old_python = system in ("RHEL 9", "Alma 9")
    assert derived["python"] == ("python3.12" if has_old_python else "python3")
    assert derived["python"] in derived["packages"]
    assert bool(derived["postgresql_setup"]) == (system != "Debian 12")
    for unit in (directory / name for name in UNITS):
        # The programs are not on this machine.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text("utf-8"), flags=re.MULTILINE)
        unit.write_text(text.replace("EnvironmentFile=", "EnvironmentFile=-"), "utf-8")
    if ANALYZE is None:
        pytest.skip("the units are not judged: no systemd-analyze is installed (Debian: systemd)")
    units = [str(directory / name) for name in UNITS]
    command = [ANALYZE, "verify", "--man=no", "--recursive-errors=no", *units]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_bus_of_today_is_deployed(tmp_path: Path) -> None:
    """Broker, certificates and queue are in a file that fedora-messaging takes, which the configuration names."""
    files = {"statscache_amqp_ca": "a.crt", "statscache_amqp_certificate": "b.crt", "statscache_amqp_key": "b.key"}
    url = "amqps://rabbitmq.example.org/%2Fpubsub"
    render(tmp_path, "Fedora 44", statscache_amqp_url=url, statscache_amqp_queue="stats", **files)
    loaded = LazyConfig().load_config(str(tmp_path / "Fedora 44" / "fedora-messaging.toml"))
    assert loaded["amqp_url"] == url
    assert loaded["queues"] == {"stats": {"durable": True, "auto_delete": False, "exclusive": False, "arguments": {}}}
    assert [row["queue"] for row in loaded["bindings"]] == ["stats"]
    assert loaded["tls"] == {
        "ca_cert": "/etc/statscache/broker-ca.crt",
        "certfile": "/etc/statscache/service.crt",
        "keyfile": "/etc/statscache/service.key",
    }
    config = Config(**tomllib.loads((tmp_path / "Fedora 44" / "statscache.toml").read_text("utf-8")))
    assert config.sources.fedora_messaging is not None
    assert config.sources.fedora_messaging.config == Path("/etc/statscache/fedora-messaging.toml")
    assert config.sources.fedmsg is None


def test_credentials_are_handed_over_by_systemd(tmp_path: Path) -> None:
    """The service and each command find the files by the variables; what they hold is in neither unit nor command."""
    derived = render(tmp_path, "RHEL 10", statscache_credentials={"PGPASSFILE": "hush"})["RHEL 10"]
    unit = (tmp_path / "RHEL 10" / "statscache.service").read_text("utf-8")
    assert (
        "LoadCredential=PGPASSFILE:/etc/statscache/credentials/PGPASSFILE\nEnvironment=PGPASSFILE=%d/PGPASSFILE\n"
        in unit
    )
    command = derived["as_service"]
    assert "--property=LoadCredential=PGPASSFILE:/etc/statscache/credentials/PGPASSFILE" in command
    assert command[-2:] == ["env", "PGPASSFILE=${CREDENTIALS_DIRECTORY}/PGPASSFILE"]
    assert "hush" not in unit + "".join(command)


def test_playbooks_are_understood() -> None:
    """With the example's inventory."""
    playbooks = sorted(path.name for path in ANSIBLE.glob("*.yml") if "inventory" not in path.name)
    command = [str(BIN / "ansible-playbook"), "--syntax-check", "--inventory=inventory.example.yml", *playbooks]
    done = subprocess.run(command, cwd=ANSIBLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^playbook: (.*)$", done.stdout, re.MULTILINE) == playbooks


def test_stack_is_one_that_cloudformation_knows() -> None:
    """cfn-lint finds no resource, property or value that does not exist."""
    # That the parameter may be empty is what W1030 is about; it is used only where it is not.
    command = [str(BIN / "cfn-lint"), "--ignore-checks", "W1030", "--template", str(STACK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stack_is_what_the_documentation_says() -> None:
    """Bucket and distribution are as docs/s3.md wants them, and send the policy that docs/nginx.conf has nginx send."""

    class Loader(yaml.SafeLoader):
        """Reads the short forms of CloudFormation's functions as their arguments."""

    def argument(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None

    Loader.add_multi_constructor("!", argument)
    resources = yaml.load(STACK.read_text("utf-8"), Loader)["Resources"]

    (documented,) = re.findall(
        r"`cors.json`:\n\n```json\n(.*?)```", (ROOT / "docs/s3.md").read_text("utf-8"), re.DOTALL
    )
    (rule,) = resources["Files"]["Properties"]["CorsConfiguration"]["CorsRules"]
    names = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    assert {"CORSRules": [{names.get(name, name): value for name, value in rule.items()}]} == json.loads(documented)

    (rule,) = resources["Files"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert not {name for name in rule if name.startswith(("Expiration", "Transition"))}
    assert "NoncurrentVersionExpiration" in rule

    caching = resources["Caching"]["Properties"]["CachePolicyConfig"]
    assert (caching["MinTTL"], caching["DefaultTTL"], caching["MaxTTL"]) == (0, 60, 31_536_000)
    errors = resources["Distribution"]["Properties"]["DistributionConfig"]["CustomErrorResponses"]
    assert {error["ErrorCode"]: error["ErrorCachingMinTTL"] for error in errors} == {403: 5, 404: 5}

    headers = resources["Headers"]["Properties"]["ResponseHeadersPolicyConfig"]
    policy = headers["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert f'Content-Security-Policy "{policy}"' in (ROOT / "docs/nginx.conf").read_text("utf-8")
