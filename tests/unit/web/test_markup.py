"""Whatever a text holds, a browser shows that text and runs nothing of it."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from evse_pi.web.markup import Markup, element, joined, text


class Reader(HTMLParser):
    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def seen(told: str) -> str:
    return told.replace("\N{NO-BREAK SPACE}", " ").replace("\r", " ").replace("\n", " ")


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_any_text_stays_text_inside_an_element_and_in_an_attribute(told: str) -> None:
    reader = Reader(element("p", told, title=told).html)
    assert [tag for tag, _ in reader.tags] == ["p"]
    assert seen(reader.words) == seen(told)
    assert seen(str(reader.tags[0][1]["title"])) == seen(told)


def test_attributes_are_named_as_in_html_and_left_out_where_they_are_none() -> None:
    made = element("input", class_="a", aria_label="b", required=True, disabled=False, value=None)
    assert made == Markup('<input class="a" aria-label="b" required>')
    assert element("rect", x=1).html == '<rect x="1"/>'


def test_a_number_stays_with_its_unit_and_children_may_be_left_out() -> None:
    assert (
        text("offers 16.0 A of 32 A, 3 Axes").html == "offers 16.0\N{NO-BREAK SPACE}A of 32\N{NO-BREAK SPACE}A, 3 Axes"
    )
    assert joined("a", None, element("b", 1)).html == "a<b>1</b>"
