"""What the tests of object stores share."""

from tests.storage.s3 import s3

__all__ = ["s3"]
