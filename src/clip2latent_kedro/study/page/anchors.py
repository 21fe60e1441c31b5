"""Names of places in a page, no two of them the same."""

import re

from clip2latent_kedro.study.cells import RowName, Table

LONGEST = 60  # letters of a name


class Anchors:
    """The places that links of a page may lead to."""

    def __init__(self) -> None:
        """Begin with the top of the page."""
        self._taken = {"top"}
        self._rows: dict[RowName, str] = {}
        self._tables: list[tuple[Table, list[str]]] = []

    def add(self, text: str) -> str:
        """Return a new name like a text: letters and digits, with hyphens between.

        Args:
            text: Such as a heading.
        """
        words = re.sub(r"[^\w.]+", "-", text.lower(), flags=re.ASCII).strip("-.")
        name = words[:LONGEST].rstrip("-.") or "place"
        number, free = 1, name
        while free in self._taken:
            number += 1
            free = f"{name}-{number}"
        self._taken.add(free)
        return free

    def add_rows(self, table: Table) -> None:
        """Name each row of a table by its anchor and first cell.

        Args:
            table: One without an anchor has its caption instead.
        """
        prefix = table.anchor or table.caption
        places = [self.add(f"{prefix[:30]} {row[0].text}") for row in table.rows]
        for row, place in zip(table.rows, places, strict=True):
            self._rows.setdefault((prefix, row[0].text), place)
        self._tables.append((table, places))

    def find_row(self, name: RowName) -> str | None:
        """Return the place of a row, the first of that name; None if there is none."""
        return self._rows.get(name)

    def take_rows(self, table: Table) -> list[str]:
        """Return the places of the rows of a table, each time that it was added once.

        Args:
            table: As it was added.
        """
        (number, *_) = [n for n, (one, _) in enumerate(self._tables) if one is table]
        return self._tables.pop(number)[1]
