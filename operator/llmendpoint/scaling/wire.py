"""How what the scaler remembers is written into a status: names are camelCase like everywhere in the API."""

from pydantic import ConfigDict, NonNegativeFloat
from pydantic.alias_generators import to_camel

WIRE = ConfigDict(alias_generator=to_camel, allow_inf_nan=False)

Number = NonNegativeFloat
"""What was learned is never negative; a status that somebody edited may say so, and is not believed."""
