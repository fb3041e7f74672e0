"""Numerical local inverses for physics without a closed form, one file each."""
