"""The last seconds of a metric: mean, extremes, growth of a counter."""

from collections import deque


class Window:
    """Values of the last ``seconds``. One that is exactly so old is out."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> None:
        """Take a value in, and let go of old ones."""
        self._entries.append((now, value))
        while self._entries[0][0] <= now - self._seconds and len(self._entries) > 1:
            self._entries.popleft()

    @property
    def mean(self) -> float:
        """Of the values, whatever their distance in time."""
        return sum(value for _, value in self._entries) / len(self._entries)

    @property
    def most(self) -> float:
        """The largest value."""
        return max(value for _, value in self._entries)

    @property
    def least(self) -> float:
        """The smallest value."""
        return min(value for _, value in self._entries)


class Growth:
    """How fast a counter grew over the last ``seconds``, or since the first reading while that is less."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._readings: deque[tuple[float, float]] = deque()

    def add(self, taken_at: float, total: float) -> None:
        """Take a reading in. One that is not newer than the last is not new."""
        if self._readings and taken_at <= self._readings[-1][0]:
            return
        self._readings.append((taken_at, total))
        while len(self._readings) > 2 and self._readings[1][0] <= taken_at - self._seconds:
            self._readings.popleft()

    @property
    def total(self) -> float | None:
        """Growth; None before the second reading."""
        return self._readings[-1][1] - self._readings[0][1] if len(self._readings) > 1 else None

    @property
    def rate(self) -> float | None:
        """Growth per second; None before the second reading."""
        if len(self._readings) < 2:
            return None
        (before, old), (now, new) = self._readings[0], self._readings[-1]
        return (new - old) / (now - before)
