"""Who leads: one Lease, and what a process may conclude from what it saw of it. Pure."""
