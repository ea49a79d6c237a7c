"""A demo is seeded at every start, before and after its ERP answers."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from console.audit import OPERATOR
from console.catalogue import specs
from console.models import AgentKey, Connection, Grant
from console.registry import connections


@pytest.mark.django_db
def test_a_later_start_leaves_the_connections_of_the_last_one_on(
    plant: Connection, settings: LazySettings
) -> None:
    call_command("demo_seed", "--erp-ready")
    granted = Grant.objects.count()
    assert granted
    known, settings.CONNECTIONS = settings.CONNECTIONS, {}
    specs.cache_clear()
    call_command("demo_seed")
    settings.CONNECTIONS = known
    specs.cache_clear()
    call_command("demo_seed", "--erp-ready")
    plant.refresh_from_db()
    assert plant.enabled
    assert (Grant.objects.count(), AgentKey.objects.count()) == (granted, 1)


@pytest.mark.django_db
def test_a_connection_that_left_the_settings_is_switched_off(
    plant: Connection, settings: LazySettings
) -> None:
    settings.CONNECTIONS = {}
    specs.cache_clear()
    connections.mirror(actor=OPERATOR)
    plant.refresh_from_db()
    assert not plant.enabled
