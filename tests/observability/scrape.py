"""Metrics as a scraper reads them."""

from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, frozenset[tuple[str, str]]]


class Scrape(dict[Sample, float]):
    """What was read, by name and labels."""

    @classmethod
    def of(cls, text: str) -> "Scrape":
        """A text in Prometheus' format, read by its own parser."""
        families = text_string_to_metric_families(text)
        return cls({(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples})

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        return sum(value for (each, had), value in self.items() if each == name and labels.items() <= dict(had).items())
