"""BDD-Anomaly: each image by itself, averaged, and the pooled numbers beside it."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="bdd-anomaly",
    source="Hendrycks et al., Scaling Out-of-Distribution Detection, ICML 2022",
    averaging="per image",
    further=("per image",),
)
