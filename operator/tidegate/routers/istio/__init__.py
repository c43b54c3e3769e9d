"""Istio: weights in VirtualServices, and hashes in the subsets of a DestinationRule."""

from tidegate.routers.istio.router import IstioRouter, istio_router

__all__ = ["IstioRouter", "istio_router"]
