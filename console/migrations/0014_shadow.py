"""What people did in an agent's place, beside what it proposed in shadow; and why a grant was lowered."""

import django.db.models.deletion
from django.db import migrations, models


# Frozen here: the table of this migration that refuses update and delete.
APPEND_ONLY = ("console_shadowlook",)


class Migration(migrations.Migration):
    """One append-only table, one reason, one index for what is to be looked at again."""

    dependencies = [("console", "0013_figures")]

    operations = [
        migrations.AddField(
            model_name="grant",
            name="demoted_reason",
            field=models.CharField(blank=True, db_default="", default="", max_length=300),
        ),
        migrations.CreateModel(
            name="ShadowLook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "did",
                    models.CharField(
                        choices=[
                            ("same", "The same as proposed"),
                            ("other", "Something else"),
                            ("nothing", "Nothing"),
                            ("untold", "Cannot be told"),
                        ],
                        max_length=8,
                    ),
                ),
                ("last", models.BooleanField()),
                ("text", models.CharField(blank=True, max_length=500)),
                ("record", models.JSONField(null=True)),
                ("differences", models.JSONField(default=list)),
                ("fields", models.PositiveIntegerField(default=0)),
                ("as_of", models.DateTimeField(null=True)),
                ("at", models.DateTimeField()),
                (
                    "grant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shadow_looks",
                        to="console.grant",
                    ),
                ),
                (
                    "proposal",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shadow_looks",
                        to="console.proposal",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["proposal", "-id"], name="newest_shadow_look"),
                    models.Index(condition=models.Q(("last", True)), fields=["grant", "did"], name="shadow_of_grant"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("last", True)), fields=("proposal",), name="one_last_shadow_look"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("ring_at__isnull", False), ("state", "shadowed")),
                fields=["ring_at"],
                name="shadow_to_ring",
            ),
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
