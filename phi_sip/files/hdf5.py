"""HDF5 files of other programs than NetCDF's libraries."""

from __future__ import annotations

from .netcdf import NetCdf


class Hdf5(NetCdf):
    """HDF5, whose integers mean missing values only where the file says so."""

    name = "hdf5"
    suffixes = (".h5", ".hdf5")
    is_netcdf = False
