"""Updates as compiled functions of tensors: what goes in, what tells two of them apart, and the ones in use."""
