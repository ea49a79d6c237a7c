"""The people's door: one file per page, function views, partials chosen by the server."""
