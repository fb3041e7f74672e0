"""States of a physics: leaf-wise arithmetic, checks, the order of dims, and the workers that share a batch."""
