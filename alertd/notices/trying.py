"""Trying templates of the user's own on made-up notices of every rule, before the first real one.

Shipped templates are tested where they are made. So only what is the user's own is rendered: of a template that extends a
shipped one the blocks that it changes, of others all; and nothing of a kind of channel that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import TemplateError as JinjaError
from jinja2 import meta, nodes

from alertd.clock import Duration, Instant
from alertd.errors import TemplateError
from alertd.facts import Kind
from alertd.notices.context import Context, context
from alertd.notices.digests import digest_context, gather
from alertd.notices.jail import METER, Jail, jail
from alertd.notices.markup import HTML, PLAIN
from alertd.notices.rendering import DIGEST, STYLES, UPTIME, explained, joined, metered, page_of, template_for
from alertd.notices.routes import receivers_of
from alertd.notices.samples import sample_digest, sample_name, sample_notice
from alertd.rulebook.rule import Rule, Rulebook

KINDS = (Kind.OPENED, Kind.CHANGED, Kind.RESOLVED)
_SLOW = "longer than"  # what a template that never ends has in its error: it is not tried again


@dataclass(frozen=True)
class Failure:
    """A template that fails: how it says so, for which kind of notice and channel, and the rules; none: for digests."""

    message: str
    channel: str
    kind: Kind
    rules: tuple[str, ...] = ()


@dataclass
class _Trial:
    """The user's own templates, and what was found out about them."""

    own: Path
    shipped: Path
    uptime: Callable[[], Duration]
    failures: dict[str, Failure] = field(default_factory=dict)
    hopeless: set[tuple[str, str | None]] = field(default_factory=set)
    _found: dict[tuple[str, str | None], Sequence[tuple[Jail, str]]] = field(default_factory=dict)
    _frames: dict[tuple[Jail, str], bool] = field(default_factory=dict)
    _files: dict[str, bool] = field(default_factory=dict)

    def attempt(self, channel: str, values: Context, look: str | None) -> None:
        """Render what is the user's own of one message; TemplateError if it fails."""
        with metered(self.uptime):
            for env, name in self._templates(channel, look):
                with explained(name):
                    self._render(env, name, values)

    def _templates(self, channel: str, look: str | None) -> Sequence[tuple[Jail, str]]:
        """The templates of such a message that the user has a hand in."""
        if (channel, look) not in self._found:
            folders = (self.own, self.shipped)
            text = (jail(STYLES.get(channel, PLAIN), folders), template_for(look, f"{channel}.j2", folders))
            page = page_of(look, channel, folders)
            both = (text, (jail(HTML, folders), page)) if page else (text,)
            self._found[channel, look] = tuple(each for each in both if self._ours(*each, frozenset()))
        return self._found[channel, look]

    def _ours(self, env: Jail, name: str, seen: Collection[str]) -> bool:
        """Whether the user has written that template, or one that it is made with."""
        if (self.own / name).is_file():
            return True
        try:
            others = list(meta.find_referenced_templates(_tree(env, name)))
        except JinjaError:
            return True  # rendering says what is wrong
        names = [other and env.join_path(other, name) for other in others]
        return any(other is None or (other not in seen and self._ours(env, other, {*seen, name})) for other in names)

    def _render(self, env: Jail, name: str, values: Context) -> None:
        template = env.get_template(name)
        run = template.new_context(dict(values))
        root = template.root_render_func(run)
        if self._shipped_frame(env, name):
            next(root, "")  # by then all blocks are known, and what is set at their tops
        else:
            joined(root)
        METER.get().size = 0
        for stack in run.blocks.values():
            if self._written(stack[0].__globals__["__jinja_template__"].filename):
                joined(stack[0](run))

    def _shipped_frame(self, env: Jail, name: str) -> bool:
        """Whether what stands around its blocks is not the user's own."""
        if (env, name) not in self._frames:
            frame: str | None = name
            while frame and (parent := _parent(_tree(env, frame))):
                frame = env.join_path(parent, frame) if isinstance(parent, str) else None
            self._frames[env, name] = bool(frame) and not (self.own / str(frame)).is_file()
        return self._frames[env, name]

    def _written(self, file: str) -> bool:
        if file not in self._files:
            self._files[file] = Path(file).is_relative_to(self.own)
        return self._files[file]

    def note(self, problem: TemplateError, channel: str, kind: Kind, rule: str | None) -> None:
        """Remember a failure; the same mistake of several rules is one."""
        known = self.failures.setdefault(str(problem), Failure(str(problem), channel, kind))
        if rule and rule not in known.rules[-1:]:
            self.failures[str(problem)] = Failure(known.message, known.channel, known.kind, (*known.rules, rule))


def try_templates(
    book: Rulebook, own: Path, shipped: Path, now: Instant, uptime: Callable[[], Duration] = UPTIME
) -> tuple[Failure, ...]:
    """What fails of the templates in `own`, over all rules and the kinds of channel that their receivers have."""
    trial = _Trial(own, shipped, uptime)
    for rule in book.rules.values():
        _try_rule(trial, rule, _channels(book, rule), now)
    _try_digest(trial, book, now)
    return tuple(trial.failures.values())


def _try_rule(trial: _Trial, rule: Rule, channels: Collection[str], now: Instant) -> None:
    for kind in (Kind.REPORT,) if rule.report else KINDS:
        notice = sample_notice(rule, kind, now)
        values = context(notice, sample_name)
        for channel in channels:
            if (channel, notice.template) not in trial.hopeless:
                try:
                    trial.attempt(channel, values, notice.template)
                except TemplateError as problem:
                    trial.note(problem, channel, kind, rule.id)
                    if _SLOW in str(problem):
                        trial.hopeless.add((channel, notice.template))


def _try_digest(trial: _Trial, book: Rulebook, now: Instant) -> None:
    if not (trial.own / DIGEST).is_dir() or not book.rules:
        return
    values = digest_context(gather(sample_digest(book, next(iter(book.rules.values())), now)), sample_name)
    for channel in dict.fromkeys(receiver.kind for receiver in book.receivers.values()):
        try:
            trial.attempt(channel, values, DIGEST)
        except TemplateError as problem:
            trial.note(problem, channel, Kind.DIGEST, None)


def _channels(book: Rulebook, rule: Rule) -> tuple[str, ...]:
    """The kinds of channel that may have to tell of a rule, the fallback's too."""
    names = (*receivers_of(book, rule), *((book.fallback,) if book.fallback in book.receivers else ()))
    return tuple(dict.fromkeys(book.receivers[name].kind for name in names))


def _parent(tree: nodes.Template) -> str | bool:
    """What a template extends: a name, or True where that is known only when it runs; False where it extends nothing."""
    found = next((node.template for node in tree.body if isinstance(node, nodes.Extends)), None)
    return found.value if isinstance(found, nodes.Const) and isinstance(found.value, str) else found is not None


def _tree(env: Jail, name: str) -> nodes.Template:
    assert env.loader is not None  # noqa: S101
    return env.parse(env.loader.get_source(env, name)[0], name)
