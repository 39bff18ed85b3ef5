"""The service on Ray Serve, on clusters of one machine."""
