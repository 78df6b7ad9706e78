"""The figures of a report, each as a PNG for a light page and one for a dark page."""

from bilevel.report.figures.drawing import Figure, draw

__all__ = ["Figure", "draw"]
