"""Where each door stands."""

from django.urls import URLPattern, URLResolver, include, path

from console import callbacks, monitoring

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("console.api.urls")),
    path("callbacks/<slug:name>", callbacks.callback, name="callback"),
    path("live", monitoring.live, name="live"),
    path("ready", monitoring.ready, name="ready"),
    path("metrics", monitoring.metrics, name="metrics"),
    path("", include("console.web.urls")),
]
