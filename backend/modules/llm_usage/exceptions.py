"""What can be wrong with a page that was asked for."""


class PageError(Exception):
    """A page that cannot be shown. The message says why, and is shown; ``status`` is HTTP's."""

    status = 400


class PageNotFoundError(PageError):
    """There is no such page."""

    status = 404
