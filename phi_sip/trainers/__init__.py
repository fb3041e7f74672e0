"""One plugin per framework: how a weight update is recorded, applied and undone there."""
