"""The object that every client is asked for."""

from pydantic import BaseModel


class Invoice(BaseModel):
    """What an invoice says."""

    number: str
    customer: str
    total: float
    lines: list[str]
