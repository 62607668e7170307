"""The one error of this tool: a sentence for the person at the terminal."""


class LocalClusterError(Exception):
    """A cluster could not be made or removed; the message says why and what to do."""
