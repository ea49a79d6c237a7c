"""What the application's database role may and may not do."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_code_under_test_runs_as_a_role_that_owns_nothing() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_user, rolsuper from pg_roles where rolname = current_user")
        assert cursor.fetchone() == ("countersign_app", False)
        cursor.execute("select count(*) from pg_class where relowner = current_user::regrole")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
def test_tests_never_touch_the_real_database() -> None:
    assert connection.settings_dict["NAME"].startswith("test_")
