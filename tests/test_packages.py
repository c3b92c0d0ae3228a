"""The ways to install that packaging/ offers: units of systemd, an RPM, a container, manifests for OpenShift."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fedora_messaging.config import LazyConfig

from commands import Home
from samples import NOON, line
from statscache import __version__
from statscache.cli import cli
from statscache.config import Config

ROOT = Path(__file__).resolve().parent.parent
PACKAGING = ROOT / "packaging"
UNITS = sorted(path for path in (PACKAGING / "systemd").iterdir() if path.suffix in (".service", ".timer"))
OPENSHIFT = PACKAGING / "openshift"

MACROS = """\
%_unitdir /usr/lib/systemd/system
%_sysusersdir /usr/lib/sysusers.d
%_tmpfilesdir /usr/lib/tmpfiles.d
%systemd_post() %{nil}
%systemd_preun() %{nil}
%systemd_postun_with_restart() %{nil}
%pyproject_extras_subpkg(n:) %{nil}
%pyproject_buildrequires(x:) %{nil}
%pyproject_wheel PYTHON -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels .
%pyproject_install PYTHON -m pip install --quiet --no-deps -I --root %{buildroot} --prefix /usr wheels/*.whl
%pyproject_save_files(l) find %{buildroot} -path '*-packages/*' ! -type d | sed 's,^%{buildroot},,' >%{pyproject_files}
%pyproject_files %{_builddir}/files
%pyproject_check_import(e:) %{nil}
"""
"""What the macros of Fedora's pyproject-rpm-macros and systemd-rpm-macros come to, where they are not installed."""


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command, which must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_units_are_sound(tmp_path: Path) -> None:
    """By systemd's own judgement; only the program is not installed here."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze is installed (Debian: systemd)")
    assert len(UNITS) == 4
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/usr/bin/statscache", "/bin/true")
        (tmp_path / unit.name).write_text(text, "utf-8")
    done = run(analyze, "verify", "--man=no", "--recursive-errors=no", *(tmp_path / unit.name for unit in UNITS))
    assert done.stderr == ""


def test_units_confine_the_service_as_those_of_ansible_do() -> None:
    """Each restriction of one is a restriction of the other."""
    template = (ROOT / "ansible/roles/statscache/templates/hardening.j2").read_text("utf-8")
    wanted = template[template.index("# What it may do") :]
    for unit in UNITS:
        if unit.suffix == ".service":
            assert wanted in unit.read_text("utf-8"), unit
        assert f"{unit.name}.j2" in os.listdir(ROOT / "ansible/roles/statscache/templates")


@pytest.mark.parametrize("path", ["statscache.toml", "openshift/base/statscache.toml"])
def test_configurations_are_accepted(path: str) -> None:
    """They name today's bus, and a target."""
    config = Config(**tomllib.loads((PACKAGING / path).read_text("utf-8")))
    assert config.sources.live == ["fedora-messaging"]
    assert [target.name for target in config.publish.targets] == ["web"]


def test_the_bus_is_configured_as_its_library_wants_it() -> None:
    """The queue is durable and of this service alone."""
    loaded = LazyConfig().load_config(str(OPENSHIFT / "base/fedora-messaging.toml"))
    assert loaded["queues"]["statscache"] == {
        "durable": True,
        "auto_delete": False,
        "exclusive": False,
        "arguments": {},
    }


def objects(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a kustomization of ours: its resources, and ConfigMaps of its files."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text("utf-8"))
    assert {*kustomization} <= {"apiVersion", "kind", "resources", "configMapGenerator"}
    for resource in kustomization["resources"]:
        if (directory / resource).is_dir():
            yield from objects(directory / resource)
        else:
            yield from yaml.safe_load_all((directory / resource).read_text("utf-8"))
    for wanted in kustomization.get("configMapGenerator", ()):
        data = {name: (directory / name).read_text("utf-8") for name in wanted["files"]}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": wanted["name"]}, "data": data}


def pods(variant: str) -> Iterator[dict[str, Any]]:
    """Yield the specification of each pod of a variant."""
    for each in objects(OPENSHIFT / variant):
        if each["kind"] == "CronJob":
            each = each["spec"]["jobTemplate"]
        if "template" in each.get("spec", {}):
            yield each["spec"]["template"]["spec"]


@pytest.mark.parametrize("variant", ["run", "split"])
def test_manifests_fit_the_schemas_of_kubernetes(variant: str) -> None:
    """Each object by the schemas of the API, strictly; probes ask what the service answers; the root is read-only."""
    found = [*objects(OPENSHIFT / variant)]
    for each in found:
        kubernetes_validate.validate(each, "1.29", strict=True)
    kinds = {each["kind"] for each in found}
    jobs = {"CronJob"} if variant == "split" else set()
    assert kinds == {"ConfigMap", "Secret", "PersistentVolumeClaim", "Deployment", *jobs}
    (deployment,) = (each for each in found if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    config = tomllib.loads((OPENSHIFT / "base/statscache.toml").read_text("utf-8"))
    assert container["ports"][0]["containerPort"] == config["metrics"]["port"]


@pytest.mark.parametrize("variant", ["run", "split"])
def test_manifests_and_configurations_name_the_same(variant: str) -> None:
    """Objects and mounts that pods name exist, files that the configurations name are mounted, commands are ours."""
    names: dict[str, dict[str, Any]] = {"ConfigMap": {}, "Secret": {}, "PersistentVolumeClaim": {}}
    for each in objects(OPENSHIFT / variant):
        if each["kind"] in names:
            names[each["kind"]][each["metadata"]["name"]] = each.get("data") or each.get("stringData") or {}
    config = Config(**tomllib.loads((OPENSHIFT / "base/statscache.toml").read_text("utf-8")))
    bus = tomllib.loads((OPENSHIFT / "base/fedora-messaging.toml").read_text("utf-8"))
    text = (PACKAGING / "Containerfile").read_text("utf-8")
    settings = dict(re.findall(r"(\w+)=(\S+)", text.partition("\nENV ")[2].partition("\n")[0]))
    assert config.sources.fedora_messaging is not None
    read = {settings["STATSCACHE_CONFIG"], str(config.sources.fedora_messaging.config), *bus["tls"].values()}
    (web,) = config.publish.targets
    for pod in pods(variant):
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert all(argument in cli.commands for argument in container["args"])
        for part in container["envFrom"]:
            for variable in names["Secret"][part["secretRef"]["name"]]:
                # One that libpq knows, or an override of a setting.
                assert variable == "PGPASSWORD" or variable.startswith("STATSCACHE_")
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        files, writable = set(), set()
        for mount in container["volumeMounts"]:
            volume = volumes.pop(mount["name"])
            held: dict[str, Any] = {}
            if "configMap" in volume:
                held = names["ConfigMap"][volume["configMap"]["name"]]
            elif "secret" in volume:
                held = names["Secret"][volume["secret"]["secretName"]]
            else:
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                assert claim is None or claim in names["PersistentVolumeClaim"]
                writable.add(mount["mountPath"])
            files |= {f"{mount['mountPath']}/{name}" for name in held}
        assert volumes == {}
        assert read == files
        assert writable == {settings["HOME"], web.place, "/tmp"}
        assert str(config.plugins.hang_note.parent) in writable


def test_the_spec_is_clean() -> None:
    """By rpmlint, which finds nothing; the version and the extras are those of the project."""
    spec = PACKAGING / "statscache.spec"
    text = spec.read_text("utf-8")
    assert f"Version:        {__version__}\n" in text
    (extras,) = re.findall(r"^%pyproject_extras_subpkg -n statscache (.*)$", text, re.MULTILINE)
    assert all(f'"{extra}": ' in (ROOT / "setup.py").read_text("utf-8") for extra in extras.split(","))
    lint = shutil.which("rpmlint")
    if lint is None:
        pytest.skip("no rpmlint is installed (Debian: rpmlint)")
    done = run(lint, "--rpmlintrc", PACKAGING / "statscache.rpmlintrc", spec)
    assert "0 errors, 0 warnings" in done.stdout


@pytest.mark.slow
def test_an_rpm_is_built(tmp_path: Path) -> None:
    """By rpmbuild from an archive of the source: program, plugins, units, configuration, in the places of Fedora."""
    build = shutil.which("rpmbuild")
    if build is None:
        pytest.skip("no rpmbuild is installed (Debian: rpm)")
    name = f"statscache-{__version__}"
    left = shutil.ignore_patterns(".*", "build", "dist", "public", "*.egg-info", "__pycache__", "tests", "benchmarks")
    shutil.copytree(ROOT, tmp_path / name, ignore=left)
    (tmp_path / "SOURCES").mkdir()
    run("tar", "-czf", tmp_path / f"SOURCES/{name}.tar.gz", name, cwd=tmp_path)
    (tmp_path / "macros").write_text(MACROS.replace("PYTHON", sys.executable))
    command = [build, "-bb", "--nodeps", f"--load={tmp_path}/macros", f"--define=_topdir {tmp_path}"]
    run(*command, PACKAGING / "statscache.spec", env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    (rpm,) = (tmp_path / "RPMS").rglob("*.rpm")
    files = run("rpm", "--query", "--list", "--package", rpm).stdout.split("\n")
    assert {
        "/usr/bin/statscache",
        "/usr/lib/systemd/system/statscache.service",
        "/usr/lib/systemd/system/statscache-publish.timer",
        "/usr/lib/sysusers.d/statscache.conf",
        "/etc/statscache/statscache.toml",
    } <= {*files}
    for part in ("statscache/site/statscache.js", "statscache_plugins/volume.py", "statscache/templates/base.html"):
        assert any(file.endswith(f"-packages/{part}") for file in files), part


@pytest.mark.slow
def test_any_user_id_on_a_read_only_root() -> None:
    """As a container of OpenShift: a user id without a name, group 0, and nothing to write to but two volumes."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root's rights, and unshare")
    # Not pytest's tmp_path, which other users cannot enter.
    with tempfile.TemporaryDirectory(prefix="statscache-") as directory:
        top = Path(directory)
        top.chmod(0o755)
        home, site = Home(top / "state"), top / "site"
        site.mkdir()
        home.configure(f'[[publish.targets]]\nname = "web"\ntype = "directory"\npath = "{site}"\n')
        (home.directory / "messages.ndjson").write_bytes(b"\n".join(line(f"{n}", NOON + n) for n in range(9)))
        for volume in (home.directory, site):
            volume.chmod(0o2775)
        script = f"""
            set -e
            mount --make-rprivate /
            for volume in {home.directory} {site}; do mount --bind $volume $volume; done
            mount -o remount,ro,bind /
            cd {home.directory}
            for each in "backfill messages.ndjson" publish status; do
                setpriv --reuid=1000690000 --regid=0 --clear-groups --no-new-privs --bounding-set=-all \\
                    {sys.executable} -B -m statscache $each
            done
            if touch {top}/written; then exit 9; fi
        """
        environment = {**os.environ, "HOME": str(home.directory)}
        done = run("unshare", "--mount", "bash", "-c", script, env=environment)
        assert "9 read, 9 accepted" in done.stdout
        assert (site / "v1/index.json").is_file()
        assert (home.directory / "statscache.db").stat().st_uid == 1000690000
