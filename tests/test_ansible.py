"""What can be said of ansible/ without a machine; tests/deployment.py applies it to one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "ansible"
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
STACK = ANSIBLE / "roles/cdn/files/stack.template"
BIN = Path(sys.executable).parent


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
