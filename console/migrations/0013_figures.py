"""Notices of incidents, timed baselines, whose grant an incident is, and an index for a grant's newest proposals."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Frozen here: the table of this migration that refuses update and delete.
APPEND_ONLY = ("console_baseline",)


class Migration(migrations.Migration):
    """Two tables, a column, and an index in the place of the one on the grant alone."""

    dependencies = [
        ("console", "0012_lean_indexes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Baseline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("transaction_type", models.CharField(max_length=64)),
                ("minutes", models.DecimalField(decimal_places=2, max_digits=7)),
                ("timed_on", models.DateField()),
                ("how", models.CharField(max_length=300)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="baselines",
                        to="console.connection",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["transaction_type", "connection", "-id"], name="baselines_of_type")
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("minutes__gt", 0)), name="baseline_takes_time")
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "event",
                    models.CharField(choices=[("opened", "Opened"), ("closed", "Closed")], max_length=6),
                ),
                ("address", models.CharField(max_length=64)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField()),
                ("told_at", models.DateTimeField(blank=True, null=True)),
                ("fault", models.CharField(blank=True, max_length=200)),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notices", to="console.incident"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("told_at__isnull", True)), fields=["due_at"], name="notice_due"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("incident", "event", "address"), name="notice_once")
                ],
            },
        ),
        migrations.AddField(
            model_name="incident",
            name="grant",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="incidents",
                to="console.grant",
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="grant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="console.grant",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(fields=["grant", "-submitted_at"], name="newest_of_grant"),
        ),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION console_append_only();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ),
    ]
