"""Reports of the simulator: one HTML file each, which needs nothing else and asks the network for nothing."""
