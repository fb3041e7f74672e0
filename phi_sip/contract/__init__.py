"""The types that all parts share: physics, solvers, updates, frameworks, hooks. Nothing is computed here."""
