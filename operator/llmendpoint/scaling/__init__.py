"""The scaler: how many replicas, decided by pure functions from readings, remembered state and the clock."""
