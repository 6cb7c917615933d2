"""All kinds of flows, whose numbers are exact: no rounding of products, no weights in half."""

from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.flows.scale_flow import ScaleFlow
from roadanomaly.flows.vector_flow import VectorFlow

EXACT = (ImageFlow, MapFlow, ScaleFlow, VectorFlow)
