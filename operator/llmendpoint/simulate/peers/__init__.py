"""The autoscalers of the field, from their published algorithms, to be replayed beside the operator's own."""
