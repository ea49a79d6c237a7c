"""Countersign: one Django app. This package imports its Celery application, and nothing else, at start."""

from console.celery import app as celery_app

__all__ = ["celery_app"]
