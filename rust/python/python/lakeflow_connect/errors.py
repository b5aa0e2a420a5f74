"""Errors of reads: one class for all, and one for each code."""

from __future__ import annotations

import re


class LakeflowError(Exception):
    """A failure with a stable code; its message names what failed and what to do.

    Attributes:
        code: as in every door of this library, e.g. `CONFIG_INVALID`.
        message: one line without the code; never shows a secret.
        retry: `never`, `backoff`, `exhausted`, or `after:<milliseconds>`.
    """

    def __init__(self, code: str, message: str, retry: str = "never"):
        super().__init__(code, message, retry)
        self.code = code
        self.message = message
        self.retry = retry

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


class ConfigInvalidError(LakeflowError, ValueError):
    """An option is missing, unknown or malformed. Correct the option that the message names."""


class AuthFailedError(LakeflowError):
    """The service rejected the credentials. Renew them."""


class PermissionDeniedError(LakeflowError):
    """The credentials lack a right. Grant the scope that the source's page names."""


class TableNotFoundError(LakeflowError, LookupError):
    """The source has no such table. The message lists those that it has."""


class OffsetInvalidError(LakeflowError):
    """A stored offset does not fit this read. Use a new checkpoint, or restore what changed."""


class RateLimitedError(LakeflowError):
    """The service's budget is used up and waiting it out would take too long."""


class SourceUnavailableError(LakeflowError):
    """The service cannot be reached or answers with server errors. Try again later."""


class BadResponseError(LakeflowError):
    """The service answered something that is not what its API promises."""


class DataInvalidError(LakeflowError):
    """A value does not fit its column. The message names table, column and record."""


class PositionExpiredError(LakeflowError):
    """The place of an incremental read is no longer known to the service."""


class ParentGoneError(LakeflowError):
    """The parent of a child table is gone."""


class UnsupportedError(LakeflowError):
    """The table, the source or this platform does not offer what was asked for."""


class CancelledError(LakeflowError):
    """The read was closed or interrupted."""


class InternalError(LakeflowError):
    """A defect of this library. Report it."""


_CLASSES: dict[str, type[LakeflowError]] = {
    "CONFIG_INVALID": ConfigInvalidError,
    "AUTH_FAILED": AuthFailedError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "TABLE_NOT_FOUND": TableNotFoundError,
    "OFFSET_INVALID": OffsetInvalidError,
    "RATE_LIMITED": RateLimitedError,
    "SOURCE_UNAVAILABLE": SourceUnavailableError,
    "BAD_RESPONSE": BadResponseError,
    "DATA_INVALID": DataInvalidError,
    "POSITION_EXPIRED": PositionExpiredError,
    "PARENT_GONE": ParentGoneError,
    "UNSUPPORTED": UnsupportedError,
    "CANCELLED": CancelledError,
    "INTERNAL": InternalError,
}


def of(code: str, message: str, retry: str = "never") -> LakeflowError:
    """The error of a code, as its own class."""
    return _CLASSES.get(code, LakeflowError)(code, message, retry)


def within(error: BaseException) -> LakeflowError | None:
    """The error of this library that an error of Spark is about; none if there is no such."""
    if isinstance(error, LakeflowError):
        return error
    found = re.search(rf"\[({'|'.join(_CLASSES)})\] (.*)", str(error))

    return found and of(found[1], re.sub(r" SQLSTATE: \w+$", "", found[2].rstrip()))


def config_invalid(message: str) -> LakeflowError:
    """An option or argument that cannot be used."""
    return of("CONFIG_INVALID", message)


def unsupported(message: str) -> LakeflowError:
    """Something that this platform or version cannot do."""
    return of("UNSUPPORTED", message)
