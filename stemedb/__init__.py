"""stemedb: a database of signed claims, for when sources disagree and it matters who said what."""

__version__ = "0.1.0"
