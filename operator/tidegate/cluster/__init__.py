"""The only room that speaks to Kubernetes: client, store, informers, lease, event recorder."""
