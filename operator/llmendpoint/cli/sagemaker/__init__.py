"""What AWS Application Auto Scaling says of a SageMaker endpoint, as spec.scaling. Pure: JSON text in, a spec out."""
