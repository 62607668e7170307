"""What to do and what to report, as pure functions of what was observed."""
