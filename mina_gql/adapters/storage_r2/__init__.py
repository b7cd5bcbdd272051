"""The object store of production: Cloudflare R2, or any other S3 API (DESIGN section 8).

<key>            what is public, at the bucket's public address
staging/<key>    uploads that wait to be confirmed; a rule of the bucket removes what nobody confirmed (docs/deploy.md)
"""

from mina_gql.adapters.storage_r2.objects import Bucket
from mina_gql.adapters.storage_r2.store import R2Store

__all__ = ["Bucket", "R2Store"]
