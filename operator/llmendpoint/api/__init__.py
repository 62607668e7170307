"""What users write and read: the LLMEndpoint object, its conditions and its CRD."""
