"""kopf as an informer: watch events go to the operator, nothing else happens here."""
