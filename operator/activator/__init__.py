"""Holds the requests to a sleeping endpoint until one of its replicas is ready, and hands them over."""
