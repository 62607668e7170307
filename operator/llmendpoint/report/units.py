"""How figures are written in reports."""


def clock(at: float) -> str:
    """Time since the start: ``1:02:03``, after a day ``2 d 1:02:03``."""
    days, rest = divmod(round(at), 86400)
    hours, rest = divmod(rest, 3600)
    text = f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days} d {text}" if days else text


def duration(length: float) -> str:
    """A length of time in its largest fitting unit."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if length >= 2 * size:
            return f"{length / size:.3g} {unit}"
    return f"{length:.3g} s"


def seconds(value: float) -> str:
    """A time to first token: ``0.71 s``, ``33 s``."""
    return f"{value:.2f} s" if value < 10 else f"{value:,.0f} s"


def share(value: float) -> str:
    """A share in percent, never rounded up to what it did not reach."""
    return f"{int(value * 10_000) / 100:.2f} %"


def count(value: float) -> str:
    """A number, thousands set apart; one that is not of whole things with a decimal where it is small."""
    return f"{value:,.0f}" if isinstance(value, int) or value >= 100 else f"{value:,.1f}"
