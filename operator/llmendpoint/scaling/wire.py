"""How what the scaler remembers is written into a status: names are camelCase like everywhere in the API."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

WIRE = ConfigDict(alias_generator=to_camel, allow_inf_nan=False)

Number = Annotated[float, Field(ge=0.0, le=1e30)]
"""What was learned is neither negative nor huge; a status that somebody edited may say so, and is not believed."""
