"""For tests of catalogues: a public test kit. Subscribers' is :mod:`consolidator.testing`."""

from streams.testing.catalogue_fold import CatalogueFold

__all__ = ["CatalogueFold"]
