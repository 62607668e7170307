"""The last decision of the scaler redone by hand from what status records of it."""
