"""Percentiles of latencies without keeping every sample."""

import math


class LatencyHistogram:
    """Counts samples in buckets that grow by ten per cent each, so that a percentile is exact to within that."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0

    def add(self, seconds: float) -> None:
        """Count one latency."""
        bucket = math.floor(math.log(max(seconds, 1e-4), 1.1))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1

    def percentile(self, share: float) -> float:
        """The latency below which a share of the samples lies, 0.95 for the 95th percentile."""
        wanted = share * self.total
        for bucket in sorted(self.counts):
            wanted -= self.counts[bucket]
            if wanted <= 0:
                return 1.1 ** (bucket + 1)
        return 0.0
