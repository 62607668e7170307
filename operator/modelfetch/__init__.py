"""Fetches models to a volume once, so that every engine that has the volume loads them from it and asks nobody."""
