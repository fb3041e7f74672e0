"""JAX with PhiML's networks and optax."""
