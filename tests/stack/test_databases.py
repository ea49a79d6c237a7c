"""What the application's database role may and may not do."""

import itertools

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections, transaction
from django.db.utils import InternalError, ProgrammingError
from django.test.utils import override_settings

from console.management.commands.migrate import append_only_tables

APP, OWNER = (settings.DATABASES[alias]["USER"] for alias in ("default", "owner"))
APPEND_ONLY = append_only_tables()

# A10: what would rewrite, empty, hide or unguard a table of facts.
FORBIDDEN = (
    "update {table} set {column} = {column}",
    "delete from {table}",
    "truncate {table}",
    "truncate {table} cascade",
    "drop table {table}",
    "alter table {table} rename to other",
    "alter table {table} drop column {column}",
    "alter table {table} disable trigger all",
    f"alter table {{table}} owner to {APP}",
    "create rule quiet as on insert to {table} do instead nothing",
    "create trigger quiet before update on {table} execute function suppress_redundant_updates_trigger()",
    "create temporary table {table} (id bigint)",
    "merge into {table} using (select 1) as one on true when matched then delete",
)
FORBIDDEN_ANYWHERE = (
    "set session_replication_role = replica",
    "create table mine (id bigint)",
    "create schema mine",
    "create function mine() returns int language sql as 'select 1'",
    "create role mine",
    f"alter role {APP} superuser",
    f"set role {OWNER}",
    f"set session authorization {OWNER}",
    "drop schema public cascade",
    "copy django_migrations from program 'true'",
    "delete from django_migrations",
)


def refused(statement: str) -> bool:
    """Whether PostgreSQL refuses the statement for want of a right (class 42501), and nothing else."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except (ProgrammingError, InternalError) as error:
        return getattr(error.__cause__, "sqlstate", "") == "42501"
    return False


@pytest.mark.django_db
def test_the_code_under_test_runs_as_a_role_that_owns_nothing() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select current_user, rolsuper, rolcreatedb from pg_roles where rolname = current_user"
        )
        assert cursor.fetchone() == (APP, False, False)
        cursor.execute("select count(*) from pg_class where relowner = current_user::regrole")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
def test_tests_never_touch_the_real_database() -> None:
    assert connection.settings_dict["NAME"].startswith("test_")


@pytest.mark.django_db
@pytest.mark.parametrize("statement", FORBIDDEN_ANYWHERE)
def test_the_application_cannot_raise_its_own_rights(statement: str) -> None:
    assert refused(statement)


@pytest.mark.django_db
@pytest.mark.parametrize(("table", "statement"), list(itertools.product(APPEND_ONLY, FORBIDDEN)))
def test_the_application_cannot_change_what_was_recorded(table: str, statement: str) -> None:
    with connection.cursor() as cursor:
        column = connection.introspection.get_table_description(cursor, table)[0].name
    assert refused(statement.format(table=table, column=column))


@pytest.mark.django_db
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_application_cannot_grant_itself_a_right(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"grant update, delete on {table} to {APP}")  # PostgreSQL only warns
        cursor.execute("select has_any_column_privilege(%s, 'update')", [table])
        assert cursor.fetchone() == (False,)
        cursor.execute("select has_table_privilege(%s, 'delete')", [table])
        assert cursor.fetchone() == (False,)


@pytest.mark.django_db
def test_the_tables_of_facts_are_there_and_their_names_are_right() -> None:
    assert APPEND_ONLY
    assert set(APPEND_ONLY) <= set(connection.introspection.table_names())


@pytest.mark.django_db
def test_the_application_can_work_on_every_other_table() -> None:
    ordinary = set(connection.introspection.table_names()) - set(APPEND_ONLY) - {"django_migrations"}
    with connection.cursor() as cursor:
        for table in ordinary:
            cursor.execute(
                "select bool_and(has_table_privilege(%s, right_name)), has_table_privilege(%s, 'truncate') "
                "from unnest(array['select', 'insert', 'update', 'delete']) as right_name",
                [table, table],
            )
            assert cursor.fetchone() == (True, False), table


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_migrating_again_takes_back_what_was_granted_by_hand() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"grant all on {APPEND_ONLY[0]}, django_migrations to {APP}")
    assert not refused(f"delete from {APPEND_ONLY[0]} where false")
    call_command("migrate", verbosity=0)
    assert refused(f"delete from {APPEND_ONLY[0]} where false")
    assert refused("delete from django_migrations")


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_superuser_is_refused_as_the_applications_role() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"alter role {APP} superuser")
    try:
        with pytest.raises(CommandError, match="nosuperuser"):
            call_command("migrate", verbosity=0)
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute(f"alter role {APP} nosuperuser")


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_migrating_with_one_role_for_both_warns(capfd: pytest.CaptureFixture[str]) -> None:
    aliased = connections["default"].settings_dict
    user, aliased["USER"] = aliased["USER"], connections["owner"].settings_dict["USER"]
    try:
        with override_settings(
            CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        ):
            call_command("migrate", verbosity=0)
    finally:
        aliased["USER"] = user
    assert "could rewrite the audit trail" in capfd.readouterr().err
