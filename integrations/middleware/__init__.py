"""Middleware and iPaaS by Standard Webhooks, both ways. See README.md beside this file."""
