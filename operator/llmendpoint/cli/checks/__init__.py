"""What ``llmendpoint doctor`` looks at: one file reads the cluster, and one per subject judges what was read."""
