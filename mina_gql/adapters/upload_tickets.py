"""Uploads that come to the app itself: signed addresses for one key, type and, where it is known, length (DESIGN section 8)."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from mina_gql.domain.assets import MAX_UPLOAD_BYTES, UPLOAD_SECONDS
from mina_gql.domain.errors import AssetRejected, Forbidden
from mina_gql.domain.ports import SignedUpload


class Ticket(NamedTuple):
    """What an address was signed for. `size` in bytes; None where whoever asked did not say."""

    key: str
    content_type: str
    size: int | None

    async def checked(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The bytes of `body`; raises AssetRejected at the first one too many, and at the end where some are missing."""
        received, most = 0, MAX_UPLOAD_BYTES if self.size is None else self.size
        async for chunk in body:
            received += len(chunk)
            if received > most:
                raise AssetRejected(f"This upload is for {most} bytes, and more came. Ask for a new upload with the true size.")
            yield chunk
        if received < (self.size or 1):
            raise AssetRejected(f"This upload is for {self.size or 'some'} bytes, and only {received} came. Send them again.")


class UploadTickets:
    """Signs addresses below `app_url`, and reads them back."""

    def __init__(self, app_url: str, secret: bytes) -> None:
        self._upload = f"{app_url}/uploads/"
        self._tokens = URLSafeTimedSerializer(secret, salt="mina.upload")

    def sign(self, key: str, content_type: str, size: int | None) -> SignedUpload:
        """Where and how to PUT the bytes."""
        token = self._tokens.dumps([key, content_type, size])
        return SignedUpload(f"{self._upload}{token}", {"Content-Type": content_type}, UPLOAD_SECONDS)

    def admit(self, token: str, content_type: str, length: int | None) -> Ticket:
        """What the token was signed for. Raises Forbidden (the token) and AssetRejected (another type or announced length)."""
        try:
            ticket = Ticket(*self._tokens.loads(token, max_age=UPLOAD_SECONDS))
        except SignatureExpired:
            raise Forbidden("This upload address has expired. Ask for a new upload.") from None
        except BadData:
            raise Forbidden("This upload address is not one of ours. Ask for a new upload.") from None
        if content_type.partition(";")[0].strip().lower() != ticket.content_type:
            raise AssetRejected(f"This upload is for {ticket.content_type}. Send it with exactly that Content-Type.")
        if None not in {length, ticket.size} and length != ticket.size:
            raise AssetRejected(f"This upload is for {ticket.size} bytes, not {length}. Ask for a new upload with the true size.")
        return ticket
