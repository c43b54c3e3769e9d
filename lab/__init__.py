"""A real Kubernetes cluster without containers: for the demo, the tests and the benchmarks.

etcd, kube-apiserver, kube-controller-manager, istiod, Envoy and Prometheus run as plain processes in a private network
namespace, and a small kubelet of our own runs each pod as a local process with an address of its own. No root, no
Docker. `docs/lab.md` says how to use it.
"""
