"""The Prometheus client, without guesses at character sets below it, which cost 3 MB: Prometheus answers in UTF-8."""

from __future__ import annotations

import warnings

from tidegate.light import without

with without("charset_normalizer"), without("chardet"), warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection")
    import requests

from prometheus_api_client import PrometheusConnect

__all__ = ["PrometheusConnect", "requests"]
