"""The people and packages of the simulated project: invented, the same for every seed, and drawn unevenly.

As in real projects, a few are in almost every message and most are rare: rank *r* has the weight 1 / (r + 8). A smaller
population is the beginning of a larger one. All draws use only integers and IEEE arithmetic, never the C library's
functions, so they are the same on every machine.
"""

from bisect import bisect_right
from itertools import accumulate
from random import Random

_KNOWN = [
    "kernel",
    "firefox",
    "bash",
    "glibc",
    "gcc",
    "systemd",
    "python3.14",
    "rust",
    "golang",
    "llvm",
    "mesa",
    "vim",
    "emacs",
    "git",
    "curl",
    "openssl",
    "podman",
    "ansible",
    "nginx",
    "httpd",
    "postgresql16",
    "qemu",
    "libvirt",
    "cockpit",
    "gnome-shell",
    "plasma-desktop",
    "kwin",
    "gtk4",
    "qt6-qtbase",
    "pipewire",
    "NetworkManager",
    "selinux-policy",
    "dnf5",
    "rpm",
    "fedora-release",
    "container-selinux",
    "toolbox",
    "chromium",
    "libreoffice",
]
_FAMILIES = ("rust-", "python-", "golang-", "perl-", "lib", "", "nodejs-", "ghc-", "R-", "php-", "mingw-", "")
_ONSETS = ("b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "n", "r", "l", "s", "k", "m")
_ZIPF_OFFSET = 8
_ZIPF_SCALE = 1 << 30


def _syllable(rng: Random) -> str:
    return _ONSETS[rng.randrange(17)] + _VOWELS[rng.randrange(5)] + _CODAS[rng.randrange(7)]


def _names(count: int, known: list[str], families: tuple[str, ...], rng: Random) -> list[str]:
    """Return `count` different names: `known` first, then invented ones."""
    names = dict.fromkeys(known[:count])
    while len(names) < count:
        family = families[rng.randrange(len(families))]
        names[family + "".join(_syllable(rng) for _ in range(2 + rng.randrange(2)))] = None
    return list(names)


def _weights(count: int) -> list[int]:
    """Return the cumulative weights of `count` ranks."""
    return list(accumulate(_ZIPF_SCALE // (rank + _ZIPF_OFFSET) for rank in range(count)))


class Population:
    """People and packages to draw from.

    Attributes:
        people: User names, the busiest first.
        packages: Names of source packages, the busiest first.
    """

    def __init__(self, people: int, packages: int) -> None:
        """Invent people and packages; both numbers are at least 1."""
        self.people = _names(people, [], ("",), Random(1))
        self.packages = _names(packages, _KNOWN, _FAMILIES, Random(2))
        self._people_weights = _weights(people)
        self._package_weights = _weights(packages)
        owners = Random(3)
        self._owners = {package: self.person(owners) for package in self.packages}

    def person(self, rng: Random) -> str:
        """Return the name of a person; busy people are more likely."""
        weights = self._people_weights
        return self.people[bisect_right(weights, int(rng.random() * weights[-1]))]

    def package(self, rng: Random) -> str:
        """Return the name of a package; busy packages are more likely."""
        weights = self._package_weights
        return self.packages[bisect_right(weights, int(rng.random() * weights[-1]))]

    def any_package(self, rng: Random) -> str:
        """Return the name of a package; all are equally likely."""
        return self.packages[rng.randrange(len(self.packages))]

    def owner(self, package: str) -> str:
        """Return the name of the maintainer of `package`."""
        return self._owners[package]
