"""PSCloud simulator: a separate small server that speaks docs/pscloud-api.yaml, with invented customers."""

VERSION = "1.0-demo"
