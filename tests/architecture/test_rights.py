"""docs/SECURITY.md has the tables of today, and each of them says who and what."""

from __future__ import annotations

from tests.support.rights import PAGE, page


def test_the_page_is_what_the_table_says() -> None:
    former = PAGE.read_text()
    assert page(former) == former, "run make rights"
