from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.sandbox.mrkdwn import mrkdwn, plain

A = '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* and _slanted_ and ~gone~", "<strong>bold</strong> and <em>slanted</em> and <s>gone</s>"),
        ("*bold _both_*", "<strong>bold <em>both</em></strong>"),
        ("2*3*4 and snake_case_name", "2*3*4 and snake_case_name"),
        ("* not bold * and **", "* not bold * and **"),
        ("*no\nend*", "*no<br>end*"),
        ("`*code*` ", "<code>*code*</code> "),
        ("```\na\n*b*\n```", "<pre>a\n*b*</pre>"),
        ("a\nb", "a<br>b"),
        ("a\n&gt; said\n> more\nb", "a<blockquote>said<br>more</blockquote>b"),
        ("&lt;b&gt; &amp;amp; &quot;", "&lt;b&gt; &amp;amp; &amp;quot;"),
        (":red_circle: :unheard_of: 10:02:03", "🔴 :unheard_of: 10:02:03"),
        ("<https://a.b/?x=1&amp;y=2|here>", A.format("https://a.b/?x=1&amp;y=2", "here")),
        ("<http://a.b>", A.format("http://a.b", "http://a.b")),
        ("<https://a_b_c/d*e*|_x_>", A.format("https://a_b_c/d*e*", "_x_")),
        ("<mailto:a@b.c|Ann>", "Ann"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("<data:text/html,x>", "&lt;data:text/html,x&gt;"),
        ("<script>", "&lt;script&gt;"),
        ("a < b", "a &lt; b"),
        (
            "<!here> <!subteam^S1|@ops> <!subteam^S1>",
            "{0}@here{1} {0}@ops{1} {0}@S1{1}".format('<span class="mention">', "</span>"),
        ),
        ("<@U1> <#C1|sales>", '<span class="mention">@U1</span> <span class="mention">#sales</span>'),
        ("<!date^x^{time}|noon>", "noon"),
        ("<!date^99999999999999999999^{time}|noon &amp; later>", "noon &amp; later"),
        ("", ""),
    ],
)
def test_mrkdwn_reads_as_in_slack(text: str, html: str) -> None:
    assert mrkdwn(text, UTC) == html


def test_a_date_is_written_in_the_readers_zone() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    shown = mrkdwn("<!date^1793620800^{date_num} at {time_secs} {what}|x>", east)
    assert ">2026-11-02 at 17:30:00 {what}</time>" in shown
    assert 'title="2026-11-02 17:30:00 UTC+05:30"' in shown


def test_a_date_may_be_a_link() -> None:
    shown = mrkdwn("<!date^1793620800^{time}^https://a.b/|x>", UTC)
    assert shown.startswith('<a href="https://a.b/"')
    assert shown.endswith(">12:00</time></a>")
    assert "<a" not in mrkdwn("<!date^1793620800^{time}^javascript:x|x>", UTC)


def test_plain_text_knows_emoji_and_nothing_else() -> None:
    assert plain(":warning: *a* <b> &amp;") == "⚠️ *a* &lt;b&gt; &amp;amp;"


@given(st.text(alphabet="<>|&;*_~`:!@#^{}\"'=/ab \n", max_size=60))
def test_no_text_makes_an_element_that_mrkdwn_does_not_have(text: str) -> None:
    bare = str(mrkdwn(text, UTC))
    for piece in ("strong", "em", "s", "code", "pre", "br", "blockquote", "span", "time", "a"):
        for start in (f"<{piece}>", f"</{piece}>", f"<{piece} "):
            bare = bare.replace(start, "")
    assert "<" not in bare
