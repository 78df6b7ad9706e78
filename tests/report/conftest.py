"""Reports are tested on stores as the tracker writes them."""

from tests.tracking.conftest import migrated, uri

__all__ = ["migrated", "uri"]
