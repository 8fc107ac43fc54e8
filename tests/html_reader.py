"""What a page of HTML holds: its words, its tags, and whether every tag is closed where it should be."""

from __future__ import annotations

from html.parser import HTMLParser

# tags that have no end
VOID = {"meta", "img", "br", "hr", "input", "link", "source", "wbr", "path", "polyline"}


class Reader(HTMLParser):
    """Collects `words` in order (without styles and title), `tags` with their attributes, and `faults` in nesting."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.faults, self.words, self.tags = [], [], [], []
        self.feed(text)
        self.faults += self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"/{tag}")

    def handle_data(self, data):
        if data.strip() and not {"style", "title"} & set(self.open):
            self.words.append(data.strip())
