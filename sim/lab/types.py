"""The types of single keys in a topology file. The `words` of each end the sentence "`rate_hz` must be …"."""

from typing import Annotated, Literal

from msgspec import Meta

__all__ = [
    "After",
    "Bytes",
    "Count",
    "Dtype",
    "Kilobytes",
    "Late",
    "Natural",
    "NotNegative",
    "Percent",
    "Port",
    "Positive",
    "Share",
]

# The upper bounds keep a typing mistake from filling the memory.
Positive = Annotated[float, Meta(gt=0, le=1e9, extra={"words": "a number above 0"})]
NotNegative = Annotated[float, Meta(ge=0, le=1e9, extra={"words": "a number, 0 or more"})]
Percent = Annotated[float, Meta(ge=0, le=100, extra={"words": "a number from 0 to 100"})]
After = Annotated[float, Meta(ge=0, le=3600, extra={"words": "a number of seconds from 0 to 3600"})]
Late = Annotated[float, Meta(ge=0, le=60_000, extra={"words": "a number of milliseconds from 0 to 60000"})]
Share = Annotated[float, Meta(ge=0, le=1, extra={"words": "a number from 0 to 1"})]
Count = Annotated[int, Meta(ge=0, le=10**9, extra={"words": "a whole number, 0 or more"})]
Natural = Annotated[int, Meta(ge=1, le=10**9, extra={"words": "a whole number, 1 or more"})]
Bytes = Annotated[int, Meta(ge=0, le=10**8, extra={"words": "a whole number of bytes, from 0 to 100000000"})]
Kilobytes = Annotated[int, Meta(ge=0, le=10**6, extra={"words": "a whole number of kB, from 0 to 1000000"})]
Port = Annotated[int, Meta(ge=1, le=65535, extra={"words": "a whole number from 1 to 65535"})]
Dtype = Literal[
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]  # fmt: skip
