"""A public test kit for catalogues. The test kit for subscribers is :mod:`consolidator.testing`."""

from streams.testing.catalogue_fold import CatalogueFold

__all__ = ["CatalogueFold"]
