"""The loops: a queue of keys, the reconciler that works it off, the tick of the scaler and the resync."""
