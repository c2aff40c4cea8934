"""What all DTOs have in common."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A DTO that never changes. Its validator is built when it is first used, not when it is
    imported: most programs use a few of these classes.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
