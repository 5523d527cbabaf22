"""Templates of the user's own: what they can change, what they cannot reach, and what happens when they break."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from alertd.channels.slack.blocks import blocks
from alertd.errors import TemplateError
from alertd.facts import Kind
from alertd.notice import Notice
from alertd.notices import rendering
from tests.channels.servers import complaint
from tests.notices.examples import EXAMPLES, SLOW, names, of_kind

# A clock that stands still: how fast the machine is must not matter.
render = partial(rendering.render, uptime=lambda: 0)
render_or_plain = partial(rendering.render_or_plain, uptime=lambda: 0)
FOLLOWUPS = (Kind.CHANGED, Kind.REMINDER, Kind.RESOLVED)
SHIPPED = Path(__file__).parents[2] / "templates"


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write templates of one's own and get the folders in their order."""

    def write(**files: str) -> tuple[Path, Path]:
        for name, text in files.items():
            (tmp_path / f"{name.replace('_', '.')}.j2").write_text(text)
        return tmp_path, SHIPPED

    return write


def racing() -> Callable[[], int]:
    """A clock at which every look costs a millisecond."""
    ticks = count()
    return lambda: next(ticks)


# What can be changed


@pytest.mark.parametrize("base", ["slack.j2", "shipped/slack.j2"])
def test_one_block_can_be_changed_and_the_others_stay(own: Callable[..., tuple[Path, Path]], base: str) -> None:
    text = f'{{% extends "{base}" %}}{{% block advice %}}Ring {{{{ labels.team }}}}. {{{{ super() }}}}{{% endblock %}}'
    parts = render("slack", SLOW, names=names, folders=own(slack=text))
    usual = render("slack", SLOW, names=names, folders=(SHIPPED,))
    assert parts["advice"] == f"Ring support. {usual['advice']}"
    assert {**parts, "advice": ""} == {**usual, "advice": ""}


def test_what_is_set_at_the_top_is_known_in_the_blocks(own: Callable[..., tuple[Path, Path]]) -> None:
    text = '{% extends "slack.j2" %}{% set phone = "<+49 30 1>" %}{% block advice %}Ring {{ phone }}{% endblock %}'
    assert render("slack", SLOW, names=names, folders=own(slack=text))["advice"] == "Ring &lt;+49 30 1&gt;"


def test_the_html_of_a_mail_can_be_changed_by_itself(own: Callable[..., tuple[Path, Path]]) -> None:
    text = '{% extends "email.html.j2" %}{% block summary %}<i>{{ title ~ " <b>" }}</i>{% endblock %}'
    parts = render("email", SLOW, names=names, folders=own(email_html=text))
    assert "<i>First answers are slow &lt;b&gt;</i>" in parts["html"]
    assert parts["text"] == render("email", SLOW, names=names, folders=(SHIPPED,))["text"]


def test_a_changed_file_is_used_at_once(own: Callable[..., tuple[Path, Path]]) -> None:
    for second, word in enumerate(("first", "second")):
        folders = own(slack=f'{{% extends "slack.j2" %}}{{% block advice %}}{word}{{% endblock %}}')
        os.utime(folders[0] / "slack.j2", (second, second))
        assert render("slack", SLOW, names=names, folders=folders)["advice"] == word


def test_quotes_are_not_spoilt_by_joining_texts(own: Callable[..., tuple[Path, Path]]) -> None:
    text = """{% block advice %}{{ "it's"|link("https://x.example") ~ ' "' ~ title ~ '"' }}{% endblock %}"""
    parts = render("slack", SLOW, names=names, folders=own(slack=text))
    assert parts["advice"] == """<https://x.example|it's> "First answers are slow\""""


def test_markup_that_a_template_makes_of_a_text_is_escaped(own: Callable[..., tuple[Path, Path]]) -> None:
    text = '{% block advice %}{{ "<!chan" ~ "nel>" }}{% autoescape false %}{{ "<!here>" }}{% endautoescape %}{% endblock %}'
    assert "<" not in render("slack", SLOW, names=names, folders=own(slack=text))["advice"]


def test_a_template_has_no_way_to_call_its_texts_safe(own: Callable[..., tuple[Path, Path]]) -> None:
    with pytest.raises(TemplateError, match="safe"):
        render("slack", SLOW, names=names, folders=own(slack='{% block advice %}{{ "<!here>"|safe }}{% endblock %}'))


# What happens when it breaks


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\n\n{% block advice %}{{ agnet }}{% endblock %}", "slack.j2, line 3: 'agnet' is undefined"),
        ("{% block advice %}\n{{ labels.phone }}{% endblock %}", "slack.j2, line 2: 'dict object' has no attribute 'phone'"),
        ("\n{% foo %}", "slack.j2, line 2: Encountered unknown tag 'foo'."),
        ("{# never closed", "slack.j2, line 1: Missing end of comment tag"),
        ('{% include "nope.j2" %}', "slack.j2, line 1: there is no template called nope.j2"),
        ("{{ 1 / 0 }}", "slack.j2, line 1: division by zero"),
        ("{{ title() }}", "slack.j2, line 1: 'str' object is not callable"),
        ('{% include "/etc/passwd" %}{% include "../x" %}', "slack.j2, line 1: there is no template called"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(own: Callable[..., tuple[Path, Path]], text: str, place: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render("slack", SLOW, names=names, folders=own(slack=text))
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_news_get_out_without_the_template_and_say_so(own: Callable[..., tuple[Path, Path]], name: str, kind: Kind) -> None:
    notice = of_kind(EXAMPLES[name], kind)
    folders = own(slack="\n{{ nonsense }}", email="\n{{ nonsense }}")
    slack = render_or_plain("slack", notice, names=names, folders=folders)
    mail = render_or_plain("email", notice, names=names, folders=folders)
    assert complaint({"text": slack["plain"], "blocks": blocks(slack)}) is None
    assert "slack.j2, line 2" in slack["failure"]
    assert "template failed, so this is the built-in text: slack.j2, line 2: 'nonsense' is undefined" in slack["summary"]
    assert "email.j2, line 2" in mail["text"]
    assert notice.title in mail["subject"]
    assert notice.title in mail["text"]
    assert "html" not in mail
    assert slack["followup"] == ("yes" if kind in FOLLOWUPS else "")


def test_a_template_that_works_needs_no_excuse() -> None:
    assert "failure" not in render_or_plain("slack", SLOW, names=names, folders=(SHIPPED,))


def test_a_channel_without_a_template_is_told_of_in_plain_text() -> None:
    parts = render_or_plain("pager", SLOW, names=names, folders=(SHIPPED,))
    assert "7 min 12 s" in parts["text"]
    assert "there is no template called pager.j2" in parts["failure"]


# What cannot be reached, and what cannot be used up


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ title|attr('__class__') }}",
        "{{ '{0.__class__}'.format(title) }}",
        "{{ '{0.__class__}'.format_map({'a': 1}) }}",
        "{{ '%s' % title }}",
        "{% set f = ''.format %}{{ f('{0.__class__}', 1) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ range.__class__ }}",
        "{{ groups.append(1) }}",
        "{{ labels.update({'a': 'b'}) }}",
        "{{ labels.clear() }}",
        "{{ dict(a=1) }}",
        "{% import 'os' as os %}",
        "{{ config }}",
        "{{ request }}",
        "{{ [].__class__ }}",
        "{{ (1).__class__ }}",
        "{{ title.encode() }}",
        "{{ [1]|map('__class__')|list|first }}",
        "{{ [title]|map(attribute='__class__')|first }}",
        "{{ caller }}",
        "{{ super.__class__ }}",
        "{% block a %}{{ super() }}{% endblock %}",
        "{{ ''|e.__class__ }}",
        "{{ groups }}",
    ],
)
def test_a_template_stays_in_its_sandbox(own: Callable[..., tuple[Path, Path]], text: str) -> None:
    with pytest.raises(TemplateError):
        render("slack", SLOW, names=names, folders=own(slack=text))


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(999999999) %}{% endfor %}",
        "{% set r = range(1000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
        "{% set r = range(1000) %}{% for a in r if a %}{% for b in r %}{% set c = b %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(n) %}{% if n %}{% set a = m(n - 1) %}{% set b = m(n - 1) %}{% endif %}{% endmacro %}{{ m(60) }}",
        '{% include "slack.j2" %}{% include "own.j2" %}',
        "{{ 'a' * 200000000 }}",
        "{{ '%0300000000d' % 1 }}",
        "{{ '%0300000000d'|format(1) }}",
        "{{ 'a'.center(300000000) }}",
        "{{ 'a'.ljust(300000000) }}",
        "{{ 'a'|center(300000000) }}",
        "{{ 'a'|indent(300000000, true) }}",
        "{{ 'a'.replace('a', 'b' ~ title) }}",
        "{{ '{:300000000d}'.format(1) }}",
        "{{ 10 ** 100 }}",
        "{{ lipsum(1000000) }}",
        "{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
        "{% set ns = namespace(x=['ab']) %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=['ab']) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x = {'a': ns.x, 'b': [ns.x]} %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for a in range(15) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|join(ns.x) }}",
        "{% for a in range(1000) %}{{ description }}{{ description }}{% endfor %}",
        "{{ range(1000)|reject('in', [])|reject('in', [])|reject('in', [])|list|length }}",
    ],
)
def test_a_template_cannot_use_up_the_machine(own: Callable[..., tuple[Path, Path]], text: str) -> None:
    with pytest.raises(TemplateError):
        render("slack", SLOW, names=names, folders=own(slack=text, own="{% include 'own.j2' %}"), uptime=racing())


def test_a_failure_shows_no_path_of_the_machine(own: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    for text in ("{# never closed", "{{ x }}", "{% foo %}", '{% include "nope.j2" %}'):
        with pytest.raises(TemplateError) as caught:
            render("slack", SLOW, names=names, folders=own(slack=text))
        assert str(tmp_path) not in str(caught.value)


def test_rendering_twice_gives_the_same(own: Callable[..., tuple[Path, Path]]) -> None:
    def both() -> Iterator[object]:
        for notice in EXAMPLES.values():
            yield _once(notice) == _once(notice)

    assert all(both())


def _once(notice: Notice) -> object:
    return [dict(render(kind, notice, names=names, folders=(SHIPPED,))) for kind in ("slack", "email")]
