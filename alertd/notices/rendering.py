"""From a notice to the parts of a message: the named blocks of the channel's template.

`<kind>.j2` holds the parts of a kind of channel, one block each; `<kind>.html.j2`, where there is one, is the part `html` as a
whole. A template of the user's own comes before the shipped one of the same name, and extends it to change a block:

    {% extends "slack.j2" %}
    {% block advice %}Ring the duty phone: {{ labels.phone }}{% endblock %}

A rule with `template: report` gets the files of the folder of that name, `report/slack.j2` and so on; for a file that is not
there, the channel's own is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import css_inline
from jinja2 import TemplateNotFound, TemplateSyntaxError

from alertd.clock import Duration, SystemClock
from alertd.errors import TemplateError
from alertd.notice import Notice
from alertd.notices import builtin, markup
from alertd.notices.context import Context, context, tidy
from alertd.notices.jail import METER, Jail, Meter, jail
from alertd.notices.markup import HTML, MRKDWN, PLAIN, Style
from alertd.notices.wording import Names, followup, worse

STYLES: Mapping[str, Style] = {"slack": MRKDWN}  # other kinds are plain text
UPTIME = SystemClock().uptime  # only to stop a template that never ends
DIGEST = "digest"  # the folder with the look of many notices in one message; no rule has that look
HTML_SIZE = 90_000  # Gmail hides what comes after some 100 kB

_inliner = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


def render(
    kind: str,
    notice: Notice,
    *,
    names: Names,
    folders: Sequence[Path],
    uptime: Callable[[], Duration] = UPTIME,
) -> Mapping[str, str]:
    """Render a notice for one kind of channel; TemplateError says which file and line fails.

    `folders` are searched in order, the shipped one last; "shipped/slack.j2" is always the shipped file. Besides the blocks
    there are `rule`, `incident`, and `worse` and `followup`, which are "yes" or empty. Bounded as `alertd.notices.jail` says.
    """
    parts = fill(kind, context(notice, names), notice.template, folders=folders, uptime=uptime)
    return parts | facts(notice, STYLES.get(kind, PLAIN))


def fill(
    kind: str,
    values: Context,
    look: str | None,
    *,
    folders: Sequence[Path],
    uptime: Callable[[], Duration] = UPTIME,
) -> dict[str, str]:
    """All blocks of a kind of channel's templates, of those in the folder `look` where there are such, with these values."""
    style = STYLES.get(kind, PLAIN)
    with metered(uptime):
        parts = _blocks(jail(style, tuple(folders)), template_for(look, f"{kind}.j2", folders), values, style)
        if page := page_of(look, kind, folders):
            parts["html"] = _page(jail(HTML, tuple(folders)), page, values)
    return parts


def template_names(folders: Sequence[Path]) -> frozenset[str]:
    """What a rule's `template` may name: the folders of templates in these folders."""
    places = (place for folder in folders if folder.is_dir() for place in folder.iterdir())
    return frozenset(place.name for place in places if place.is_dir() and any(place.glob("*.j2"))) - {DIGEST}


def render_or_plain(
    kind: str,
    notice: Notice,
    *,
    names: Names,
    folders: Sequence[Path],
    uptime: Callable[[], Duration] = UPTIME,
) -> Mapping[str, str]:
    """Render a notice; when its template fails, the built-in plain text, which says so (I11).

    Then the part `failure` is the TemplateError's text.
    """
    try:
        return render(kind, notice, names=names, folders=folders, uptime=uptime)
    except TemplateError as problem:
        failure, style = markup.line(str(problem)), STYLES.get(kind, PLAIN)
        return builtin.parts(style, notice, names, failure) | facts(notice, style) | {"failure": failure}


def facts(notice: Notice, style: Style) -> dict[str, str]:
    """What a channel needs to know of a notice besides its text."""
    told = tidy(notice)
    return {
        "rule": style.escape(told.rule),
        "incident": str(told.incident or ""),
        "worse": "yes" if worse(told) else "",
        "followup": "yes" if followup(told) else "",
    }


def template_for(look: str | None, file: str, folders: Sequence[Path]) -> str:
    """The template of that file's name in the folder that is asked for, where there is one; else the channel's own."""
    named = f"{look}/{file}"
    return named if look and _there(named, folders) else file


def page_of(look: str | None, kind: str, folders: Sequence[Path]) -> str | None:
    """The template of the part `html`, where that kind of channel has one."""
    page = template_for(look, f"{kind}.html.j2", folders)
    return page if _there(page, folders) else None


def _there(name: str, folders: Sequence[Path]) -> bool:
    return any((folder / name).is_file() for folder in folders)


def _blocks(env: Jail, name: str, values: Context, style: Style) -> dict[str, str]:
    """Every block of a template, also those that it inherits: they are known once the whole has been run."""
    with explained(name):
        template = env.get_template(name)
        run = template.new_context(dict(values))
        joined(template.root_render_func(run))
        METER.get().size = 0
        return {block: style.finish(joined(stack[0](run))) for block, stack in run.blocks.items()}


def _page(env: Jail, name: str, values: Context) -> str:
    """A whole HTML page with its styles written into its elements, as mail programs need it."""
    with explained(name):
        template = env.get_template(name)
        page = _inliner.inline(joined(template.root_render_func(template.new_context(dict(values)))))
    if len(page.encode()) > HTML_SIZE:
        raise TemplateError(f"{name} makes more than {HTML_SIZE:,} bytes")
    return page


def joined(pieces: Iterator[str]) -> str:
    """The text of a generator of pieces, counted while it grows."""
    return "".join(METER.get().take(piece) for piece in pieces).strip()


@contextmanager
def metered(uptime: Callable[[], Duration]) -> Iterator[None]:
    """Bound what is rendered inside."""
    token = METER.set(Meter(uptime))
    try:
        yield
    finally:
        METER.reset(token)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn whatever a template does wrong into a TemplateError that points at it."""
    try:
        yield
    except TemplateSyntaxError as problem:
        file = Path(problem.name or name).name  # Jinja puts the whole path there for some mistakes
        raise TemplateError(f"{file}, line {problem.lineno}: {problem.message}") from None
    except TemplateNotFound as problem:
        raise TemplateError(f"{_place(problem, name)}: there is no template called {problem.name}") from None
    except Exception as problem:  # noqa: BLE001  a template can raise anything that Python can
        raise TemplateError(f"{_place(problem, name)}: {str(problem) or type(problem).__name__}") from None


def _place(problem: BaseException, name: str) -> str:
    """The file and line of a template where an exception came from: the innermost of its frames that Jinja made."""
    place, trace = name, problem.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            place = f"{template.name}, line {template.get_corresponding_lineno(trace.tb_lineno)}"
        trace = trace.tb_next
    return place
