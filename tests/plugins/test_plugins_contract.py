"""The contract of plugins: a wrong class is refused when it is defined, with its name and the fix."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from plugin_class import define
from statscache.exceptions import ConfigurationError, PluginError, UnknownPlugin
from statscache.plugins import Latest, Names, Plugin, Setting, Switch, Text, Whole, registry
from statscache_plugins.volume import Volume


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"name": ...}, "`name` is None; give it a name of lowercase letters"),
        ({"name": "Wrong"}, "`name` is 'Wrong'"),
        ({"name": "../x"}, "`name` is '../x'"),
        ({"name": "a" * 64}, "give it a name"),
        ({"name": 5}, "`name` is 5"),
        ({"title": ...}, "`title` is missing"),
        ({"title": "  "}, "`title` is missing"),
        ({"__doc__": ...}, "the docstring is missing"),
        ({"dimensions": ["key"]}, "`dimensions` is ['key']; give a tuple"),
        ({"dimensions": "key"}, "`dimensions` is 'key'; give a tuple"),
        ({"dimensions": ("Key",)}, "give a tuple of names in lowercase"),
        ({"dimensions": ("total",)}, "none of ["),
        ({"dimensions": ("a", "a")}, "each name may occur once"),
        ({"topics": "bodhi.#"}, "`topics` is 'bodhi.#'; give a tuple of patterns"),
        ({"topics": ("#.bodhi",)}, "give a tuple of patterns"),
        ({"topics": ("a b",)}, "give a tuple of patterns"),
        ({"version": 0}, "give a whole number from 1"),
        ({"version": "2"}, "`version` is '2'"),
        ({"version": True}, "`version` is True"),
        (
            {"declared_settings": ("limit",)},
            "`declared_settings` is ('limit',); give a dict of names and settings, such as {'limit': ",
        ),
        ({"declared_settings": {"limit": 100}}, "`declared_settings` is {'limit': 100}; give a dict"),
        ({"declared_settings": {5: Whole(100)}}, "give a dict of names and settings"),
        ({"unbounded": True, "dimensions": ()}, "`unbounded` needs at least one dimension"),
        ({"observe": ...}, "`observe(self, message)` is missing"),
        ({"latest": lambda *_: []}, "it overrides latest, which the framework owns"),
        ({"leaders": lambda *_: [], "moments": ()}, "it overrides leaders, moments"),
    ],
)
def test_a_wrong_class_is_refused_with_its_name_and_the_fix(changes: dict[str, Any], fix: str) -> None:
    """The error names the class, what is wrong with it and what to write instead."""
    with pytest.raises(PluginError) as caught:
        define(**changes)
    assert str(caught.value).startswith("plugin class shop.plugins.Wrong: ")
    assert fix in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """An author fixes a class in one go."""
    with pytest.raises(PluginError) as caught:
        define(name=..., title=..., version=-1)
    assert all(word in str(caught.value) for word in ("`name`", "`title`", "`version`"))


def test_a_class_of_no_kind_is_refused() -> None:
    """Who derives from Plugin itself gets an error with the kinds."""
    with pytest.raises(PluginError, match="derive from a kind, such as Counter, Latest or Log"):
        define(Plugin)


def test_a_right_class_is_taken() -> None:
    """The class that the wrong ones are made from is right."""
    assert define()().summary == "Something."
    assert define(Latest)().kind.name == "Latest"


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("bodhi.update.comment", ["bodhi.update.comment"], ["bodhi.update", "bodhi.update.comment.x"]),
        ("bodhi.*.comment", ["bodhi.update.comment"], ["bodhi.comment", "bodhi.a.b.comment"]),
        ("bodhi.#", ["bodhi", "bodhi.update", "bodhi.update.comment"], ["bodhi2.update", "x.bodhi"]),
        ("#", ["bodhi", "a.b.c"], []),
        ("*", ["short"], ["a.b"]),
    ],
)
def test_topics_are_matched_by_whole_parts(pattern: str, wanted: list[str], unwanted: list[str]) -> None:
    """A star is one part, a hash at the end is any number of parts."""
    plugins = registry.Registry([define(topics=(pattern,))()])
    assert [topic for topic in [*wanted, *unwanted] if plugins.interested(topic)] == wanted


class _Point(EntryPoint):
    """An entry point that loads what it is given."""

    loaded: dict[str, Callable[[], Any]]

    def load(self) -> Any:
        """Return, or raise, what the test wants."""
        return _Point.loaded[self.name]()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install entry points."""

    def installed(**loaded: Callable[[], Any]) -> None:
        _Point.loaded = loaded
        points = [_Point(name, f"shop.{name}:PLUGINS", registry.GROUP) for name in loaded]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    return installed  # type: ignore[return-value]


def fail() -> Any:
    """Raise as a package does that lacks a dependency."""
    raise ModuleNotFoundError("No module named 'gone'")


def test_an_entry_point_that_fails_to_load_is_reported_and_the_rest_run(install: Callable[..., None]) -> None:
    """Its name and reason are a problem of the registry; so is what is not a plugin class."""
    install(broken=fail, good=lambda: Volume, number=lambda: 5, other=lambda: [Volume, dict])
    loaded = registry.load()
    assert [plugin.name for plugin in loaded] == ["volume"]
    reasons = {problem.name: problem.reason for problem in loaded.problems}
    assert reasons.keys() == {"broken", "number", "other"}
    assert "shop.broken:PLUGINS: ModuleNotFoundError: No module named 'gone'" in reasons["broken"]
    assert "is not a plugin class; derive it from a kind" in reasons["other"]


def test_of_two_claims_of_one_name_the_first_stands_and_both_are_named(install: Callable[..., None]) -> None:
    """Who installs two plugins of one name learns where both come from."""
    install(a=lambda: Volume, b=lambda: define(name="volume"))
    loaded = registry.load()
    assert type(loaded.get("volume")) is Volume
    (problem,) = loaded.problems
    assert problem.name == "volume"
    assert "shop.b:PLUGINS and shop.a:PLUGINS both claim the name" in problem.reason


def test_patterns_choose_and_settings_reach_the_plugin(install: Callable[..., None]) -> None:
    """What no pattern matches is not made; a plugin that refuses its settings is a problem."""

    def refuse(self: Any, settings: Any = None) -> None:
        raise ValueError(f"colour {settings['colour']} is unknown")

    install(
        a=lambda: [define(name=name, declared_settings={"a": Whole(2)}) for name in ("volume", "builds-by-owner")],
        b=lambda: define(name="picky", __init__=refuse, declared_settings={"colour": Text("blue")}),
    )
    assert [plugin.name for plugin in registry.load(["builds-*"])] == ["builds-by-owner"]
    loaded = registry.load(["*"], {"volume": {"a": 1}, "picky": {"colour": "red"}})
    assert loaded.get("volume").settings == {"a": 1}
    assert loaded.get("builds-by-owner").settings == {"a": 2}
    assert [problem.reason for problem in loaded.problems] == ["shop.b:PLUGINS: ValueError: colour red is unknown"]


def test_shared_settings_reach_who_asks_and_give_way_to_its_own(install: Callable[..., None]) -> None:
    """A plugin gets of the shared settings what it names, except where its own table has it."""
    install(
        a=lambda: [
            define(name="asks", declared_settings={"bots": Names([], shared=True)}),
            define(
                name="has-its-own", declared_settings={"bots": Names([], shared=True), "colour": Text("", shared=True)}
            ),
            define(name="shares-nothing", declared_settings={"colour": Text("green")}),
            define(name="has-nothing"),
        ]
    )
    loaded = registry.load(["*"], {"has-its-own": {"colour": "red"}}, shared={"bots": ["koschei"], "colour": "blue"})
    assert {plugin.name: plugin.settings for plugin in loaded} == {
        "asks": {"bots": {"koschei"}},
        "has-its-own": {"bots": {"koschei"}, "colour": "red"},
        "shares-nothing": {"colour": "green"},
        "has-nothing": {},
    }


def test_names_that_fit_no_installed_plugin_are_refused_all_at_once(install: Callable[..., None]) -> None:
    """So is a setting that a plugin does not declare, and a value of another type."""
    declared = {"colour": Text("blue"), "bots": Names([], shared=True)}
    install(
        a=lambda: [
            define(name="volume"),
            define(name="knows", declared_settings=declared),
            define(name="knows-too", declared_settings=declared),
        ]
    )
    known: dict[str, dict[str, Any]] = {"volume": {}, "knows": {"colour": "red", "bots": []}}
    assert len(registry.load(["*", "know*"], known, shared={"bots": []})) == 3
    with pytest.raises(ConfigurationError) as refused:
        registry.load(
            ["vol*", "volum"],
            {"volumes": {}, "knows": {"color": 1, "colour": 2, "bots": "bodhi"}, "volume": {"any": 1}},
            shared={"bot": [], "bots": 3},
        )
    assert str(refused.value).splitlines() == [
        "the configuration does not fit the installed plugins:",
        "  [plugins.settings.knows] color: is unknown; known here are: bots, colour",
        "  [plugins.settings.knows] colour: is 2; give a text",
        "  [plugins.settings.knows] bots: is 'bodhi'; give a list of names, such as ['bodhi', 'koschei']",
        "  [plugins.settings.volume] any: is unknown; known here are: none",
        "  [plugins.shared] bots: is 3; give a list of names, such as ['bodhi', 'koschei']",
        "  [plugins] enabled: 'volum' fits no installed plugin; installed are: knows, knows-too, volume",
        "  [plugins.settings.volumes]: there is no such plugin; installed are: knows, knows-too, volume",
        "  [plugins.shared] bot: no installed plugin asks for it",
    ]


@pytest.mark.parametrize(
    ("setting", "right", "wrong", "expected"),
    [
        (Names(["a"]), ["b", "a", "b"], "b", "a list of names, such as ['bodhi', 'koschei']"),
        (Names(()), [], ["a", 5], "a list of names"),
        (Text("a"), "", 5, "a text"),
        (Text("a", choices=("a", "b")), "b", "c", "one of 'a', 'b'"),
        (Whole(1), 0, -1, "a whole number from 0"),
        (Whole(7, least=5), 5, 4, "a whole number from 5"),
        (Whole(1), 2, True, "a whole number"),
        (Whole(1), 2, 2.0, "a whole number"),
        (Switch(False), True, 1, "true or false"),
    ],
)
def test_a_setting_has_a_type(setting: Setting, right: Any, wrong: Any, expected: str) -> None:
    """A value of the type is taken, also in the form that the plugin sees; of another, the error says what to give."""
    cls = define(name="typed", declared_settings={"it": setting})
    assert cls().settings == {"it": setting.default}
    settings = cls({"it": right}).settings
    assert cls(settings).settings == settings
    with pytest.raises(ConfigurationError) as refused:
        cls({"it": wrong})
    assert str(refused.value).startswith(f"[plugins.settings.typed] it: is {wrong!r}; give {expected}")


def test_a_default_of_another_type_is_refused() -> None:
    """The author learns it where the setting is declared."""
    with pytest.raises(ValueError, match="is 'many'; give a whole number from 0"):
        Whole("many")  # type: ignore[arg-type]


def test_another_value_is_another_version() -> None:
    """State depends on the settings, a default that changed included; how a list is written makes no difference."""
    cls = define(name="typed", declared_settings={"bots": Names(["a", "b"]), "limit": Whole(5)})
    version = cls().state_version
    assert version == cls({"bots": ["b", "a", "a"], "limit": 5}).state_version
    assert version != cls({"bots": ["a"]}).state_version
    assert (
        version != define(name="typed", declared_settings={**cls.declared_settings, "limit": Whole(6)})().state_version
    )


def test_what_may_be_in_an_entry_point_that_failed_is_a_problem_only(install: Callable[..., None]) -> None:
    """A plugin that cannot be loaded does not stop the others, also where the configuration names it."""
    install(broken=fail, good=lambda: Volume)
    loaded = registry.load(["volume", "gone"], {"gone": {}})
    assert [plugin.name for plugin in loaded] == ["volume"]
    assert [problem.name for problem in loaded.problems] == ["broken", "gone"]


def test_a_plugin_that_is_not_active_is_unknown() -> None:
    """The error lists those that are active."""
    with pytest.raises(UnknownPlugin, match="no active plugin is named 'nope'; active are: volume"):
        registry.Registry([Volume()]).get("nope")
