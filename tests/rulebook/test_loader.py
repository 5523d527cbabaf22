"""Which files make a rulebook, and which commit it is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from alertd.errors import RulebookError
from alertd.rulebook.files import Texts, gather, read, recall
from alertd.rulebook.findings import Finding
from alertd.rulebook.loader import Memory, build, inspect, load
from tests.rulebook.folders import RECEIVERS, rule, write


def test_all_rule_files_below_the_folder_make_one_rulebook(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), team__two=rule("two"))
    (tmp_path / "three.yml").write_text(rule("three"))

    book = load(tmp_path)
    assert {name: each.file for name, each in book.rules.items()} == {
        "one": "one.yaml",
        "two": "team/two.yaml",
        "three": "three.yml",
    }


def test_tests_of_rules_other_files_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"))
    write(tmp_path / ".github", workflow="on: push")
    for name in ("one.test.yaml", "README.md", ".hidden.yaml"):
        (tmp_path / name).write_text("not: rules")

    assert set(load(tmp_path).rules) == {"one"}


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "..2026_11_02", receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "..data").symlink_to("..2026_11_02")
    for name in ("receivers.yaml", "one.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")

    assert set(load(tmp_path).rules) == {"one"}


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "worktree", receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "current").symlink_to("worktree")

    assert set(load(tmp_path / "current").rules) == {"one"}


def test_a_single_file_is_read_with_the_receivers_beside_it(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), two="broken: [")

    assert set(load(tmp_path / "one.yaml").rules) == {"one"}


@pytest.mark.parametrize("given", ["rules", "rules/team", "rules/team/one.yaml"])
def test_receivers_above_what_is_looked_at_are_found_where_that_is_wanted(tmp_path: Path, given: str) -> None:
    write(tmp_path, receivers=RECEIVERS)
    write(tmp_path / "rules", team__one=rule("one"))
    book, findings = inspect(tmp_path / given, upwards=True)

    assert findings == ()
    assert book is not None
    assert set(book.receivers) == {"a"}
    with pytest.raises(RulebookError, match=r'there is no receiver "a"; there is no receivers\.yaml in \S+$'):
        load(tmp_path / given)


def test_the_nearest_folder_above_counts_and_mistakes_in_it_are_told_at_their_place(tmp_path: Path) -> None:
    write(tmp_path, receivers="receivers: {}")
    write(tmp_path / "team", receivers=RECEIVERS + "fallback: b\n")
    write(tmp_path / "team" / "rules", one=rule("one"))
    _, (finding,) = inspect(tmp_path / "team" / "rules" / "one.yaml", upwards=True)

    assert (finding.file, finding.line, finding.message) == (
        f"{tmp_path}/team/receivers.yaml",
        3,
        'fallback: there is no receiver "b"; there is a',
    )


def test_places_above_are_told_as_the_folder_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, receivers="receivers: []")
    write(tmp_path / "rules", one=rule("one"))

    for start, given, told in ((tmp_path, "rules", "receivers.yaml"), (tmp_path / "rules", ".", "../receivers.yaml")):
        monkeypatch.chdir(start)
        assert [each.file for each in inspect(Path(given), upwards=True)[1]] == [told]


def test_a_folder_with_receivers_of_its_own_needs_none_above(tmp_path: Path) -> None:
    write(tmp_path, receivers="receivers: []")
    write(tmp_path / "rules", receivers=RECEIVERS, one=rule("one"))

    assert inspect(tmp_path / "rules", upwards=True)[1] == ()


@pytest.mark.parametrize(("place", "found"), [("a/b/c/d/e", True), ("a/b/c/d/e/f", False), ("repository/rules", False)])
def test_nobody_looks_above_a_repository_or_far_away(tmp_path: Path, place: str, found: bool) -> None:
    write(tmp_path, receivers=RECEIVERS)
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    folder = tmp_path / place
    folder.mkdir(parents=True)
    write(folder, one=rule("one"))
    book, findings = inspect(folder, upwards=True)

    assert (book is not None) == found
    wanted = [] if found else [f'there is no receiver "a"; there is no receivers.yaml in {folder} or above it']
    assert [each.message for each in findings] == wanted


def test_several_files_can_be_looked_at(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), two=rule("two"), three="broken: [")
    book, findings = inspect([tmp_path / "one.yaml", tmp_path / "receivers.yaml", tmp_path / "two.yaml"])

    assert findings == ()
    assert book is not None
    assert set(book.rules) == {"one", "two"}


def test_an_id_that_two_rules_have_is_told_with_both_places(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("same"), two=rule("same"))
    book, (finding,) = inspect(tmp_path)

    assert book is None
    assert (finding.file, finding.line, finding.column) == (f"{tmp_path}/two.yaml", 2, 10)
    assert f'the id "same" is taken by the rule at {tmp_path}/one.yaml:2:10' in finding.message


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS + "fallback: b", one=rule("One"), two="rules: [")
    with pytest.raises(RulebookError, match=r"3 errors in 3 files; .*one\.yaml:2:10: id: \"One\" is not a name") as caught:
        load(tmp_path)

    places = [each.file.rpartition("/")[2] for each in caught.value.findings if isinstance(each, Finding)]
    assert places == ["one.yaml", "receivers.yaml", "two.yaml"]


def test_warnings_do_not_keep_a_rulebook_from_loading(tmp_path: Path) -> None:
    write(tmp_path, one=rule("one").replace(", notify: a", ""))

    assert inspect(tmp_path)[1][0].severity == "warning"
    assert load(tmp_path).rules["one"].notify == {"critical": ()}


def test_a_second_receivers_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), team__receivers=RECEIVERS)
    _, (finding,) = inspect(tmp_path)

    assert finding.file.endswith("team/receivers.yaml")
    assert "a rulebook has one receivers.yaml" in finding.message


@pytest.mark.parametrize("kind", ["missing", "empty", "only receivers"])
def test_where_there_is_nothing_to_load_it_says_so(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "rules"
    if kind != "missing":
        write(folder, **({"receivers": RECEIVERS} if kind == "only receivers" else {}))
    words = f"there is no folder or file {folder}" if kind == "missing" else f"there are no rule files in {folder}"

    with pytest.raises(RulebookError, match=words):
        load(folder)


def test_files_without_a_single_rule_are_not_a_rulebook(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one="# rules:\n#  - id: one\n", two="defaults: {every: 1m}\n")
    book, findings = inspect(tmp_path)

    assert book is None
    assert [each.message for each in findings if each.severity == "error"] == [
        'a rule file needs "rules:", and its rules follow as a list'
    ]
    (tmp_path / "two.yaml").unlink()
    with pytest.raises(RulebookError, match='there is not one rule in these files; if that is meant, write "rules: \\[\\]"'):
        load(tmp_path)


def test_no_rules_at_all_is_a_rulebook_where_a_file_says_so(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one="# rules:\n#  - id: one\n", two="rules: []\n")
    book, findings = inspect(tmp_path)

    assert book is not None
    assert (dict(book.rules), set(book.receivers)) == ({}, {"a"})
    assert {each.severity for each in findings} == {"warning"}
    assert "there is not one rule in all files, so nothing is checked" in [each.message for each in findings]


def test_a_link_that_leads_to_itself_is_told_at_its_place(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "two.yaml").symlink_to("two.yaml")
    _, (finding,) = inspect(tmp_path)

    assert (finding.file, finding.severity) == (f"{tmp_path}/two.yaml", "error")
    assert "cannot be read" in finding.message


def texts(folder: Path) -> Texts:
    return read(gather([folder]))


def test_a_rulebook_made_of_kept_texts_is_the_one_that_the_files_made(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), team__two=rule("two"))
    found = texts(tmp_path)

    assert build(recall(found.files), "abc") == load(tmp_path, revision="abc")
    assert recall(found.files).digest == found.digest


@pytest.mark.parametrize("change", ["text", "receivers", "added", "removed", "renamed", "unreadable", "second receivers"])
def test_whatever_changes_in_the_folder_changes_its_digest(tmp_path: Path, change: str) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), two=rule("two"))
    before = texts(tmp_path).digest
    assert texts(tmp_path).digest == before
    if change == "text":
        write(tmp_path, one=rule("uno"))
    elif change == "receivers":
        write(tmp_path, receivers=RECEIVERS + "# another")
    elif change == "added":
        write(tmp_path, three="")
    elif change == "removed":
        (tmp_path / "two.yaml").unlink()
    elif change == "renamed":
        (tmp_path / "two.yaml").rename(tmp_path / "three.yaml")
    elif change == "unreadable":
        (tmp_path / "two.yaml").write_bytes(b"\xff")
    else:
        write(tmp_path, team__receivers=RECEIVERS)

    assert texts(tmp_path).digest != before


def test_rules_of_unchanged_files_are_the_same_objects_after_the_next_load(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), two=rule("two"))
    memory = Memory()
    before = build(texts(tmp_path), None, memory).rules
    write(tmp_path, two=rule("zwei"))
    after = build(texts(tmp_path), None, memory).rules

    assert set(after) == {"one", "zwei"}
    assert after["one"] is before["one"]
    assert len(memory.pages) == 2


def test_a_receiver_that_is_gone_is_missed_by_files_that_did_not_change(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"))
    memory = Memory()
    build(texts(tmp_path), None, memory)
    write(tmp_path, receivers=RECEIVERS.replace("a:", "b:"))

    with pytest.raises(RulebookError, match=r"one\.yaml:2:.*there is no receiver \"a\""):
        build(texts(tmp_path), None, memory)


def test_many_errors_are_counted_and_a_pasted_secret_is_not_among_them(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one").replace("notify: a", "notify: xoxb-1234567890"))
    for number in range(5):
        write(tmp_path, **{f"two{number}": rule("Two")})
    with pytest.raises(RulebookError, match=r"10 errors in 6 files; .*; and 7 more$") as caught:
        load(tmp_path)

    assert "xoxb-" in str(caught.value)
    assert "1234567890" not in str(caught.value)


def test_a_folder_with_far_too_many_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, one=rule("one"), two=rule("two"), team__three=rule("three"))

    assert len(gather([tmp_path], most=3).rules) == 3
    with pytest.raises(RulebookError, match="more than 2 YAML files"):
        gather([tmp_path], most=2)


ROUTED = rule("one").replace("notify: a", "notify: a, owner: ops, labels: {team: support}")

# What a route matches, what is said of it and what was probably meant.
IDLE = [
    ("severity: critical", "no rule has a label severity; the level of an incident is matched by level", "level: critical"),
    ("team: suport", "no rule has the label team: suport", "support"),
    ("team: sales", "no rule has the label team: sales; there is support", None),
    ("tier: gold", "no rule has the label tier: gold", None),
    ("owner: opps", "no rule has the owner opps", "ops"),
    ("level: warning", "no rule has all of this together", None),
]


@pytest.mark.parametrize(("match", "message", "meant"), IDLE, ids=[each[0] for each in IDLE])
def test_a_route_that_nothing_goes_is_warned_of(tmp_path: Path, match: str, message: str, meant: str | None) -> None:
    routes = f"routes:\n  - {{match: {{team: support}}, to: a}}\n  - {{match: {{{match}}}, to: a}}\n"
    write(tmp_path, receivers=RECEIVERS + routes, one=ROUTED)
    book, (finding,) = inspect(tmp_path)

    assert book is not None
    assert (finding.severity, finding.file, finding.line) == ("warning", f"{tmp_path}/receivers.yaml", 5)
    assert (finding.message, finding.suggestion) == (f"nothing goes this way: {message}", meant)


def test_routes_are_not_judged_by_a_part_of_the_rules(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS + "routes: [{match: {team: sales}, to: a}]\n")
    write(tmp_path / "rules", one=rule("one"), two=rule("Two"))

    assert inspect(tmp_path / "rules" / "one.yaml", upwards=True)[1] == ()
    assert len(inspect(tmp_path)[1]) == 1  # the id; whether the other rule has the label is not known


def test_rules_of_several_files_that_keep_each_other_quiet_are_an_error(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        rule = f"{{id: {name}, every: 5m, window: 1h, measure: count, warning: {{above: 9}}, quiet_while: {other}, notify: x}}"
        (tmp_path / f"{name}.yaml").write_text(f"rules: [{rule}]", encoding="utf-8")
    (tmp_path / "receivers.yaml").write_text('receivers: {x: {slack: {channel: "#x"}}}', encoding="utf-8")
    book, findings = inspect(tmp_path)
    assert book is None
    assert len(findings) == 3
    assert all("these keep each other quiet, so nobody is told while all fire" in each.message for each in findings)
