"""What a training run saves and restores, and how it evaluates a network: one file per framework."""
