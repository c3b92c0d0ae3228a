"""Monitoring: the state of the service, for status.json, Prometheus, Kubernetes and the supervisor."""
