"""Fewer indexes where every proposal writes, and the queue's orders as indexes of what is in review alone.

A row that only renews its lease stays on its page (HOT) where the page has room for it.
"""

from decimal import Decimal

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes, and how full a page is made."""

    dependencies = [
        ("console", "0011_screens"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="proposal",
            name="queue_by_risk",
        ),
        migrations.RemoveIndex(
            model_name="proposal",
            name="queue_by_time",
        ),
        migrations.RemoveIndex(
            model_name="proposal",
            name="queue_by_money",
        ),
        migrations.RemoveIndex(
            model_name="proposal",
            name="to_ring",
        ),
        migrations.AlterField(
            model_name="assessment",
            name="proposal",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assessments",
                to="console.proposal",
            ),
        ),
        migrations.AlterField(
            model_name="assessment",
            name="revision",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assessments",
                to="console.revision",
            ),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="assessment",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="attempts",
                to="console.assessment",
            ),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="proposal",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="attempts",
                to="console.proposal",
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="proposal",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="console.proposal",
            ),
        ),
        migrations.AlterField(
            model_name="decision",
            name="assessment",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to="console.assessment",
            ),
        ),
        migrations.AlterField(
            model_name="decision",
            name="by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="idempotencykey",
            name="agent",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="console.agent",
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="agent_version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="console.agentversion",
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="connection",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="console.connection",
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="ref",
            field=models.CharField(max_length=20),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="reverses",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reversals",
                to="console.proposal",
            ),
        ),
        migrations.AlterField(
            model_name="readback",
            name="attempt",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="read_backs",
                to="console.attempt",
            ),
        ),
        migrations.AlterField(
            model_name="reading",
            name="agent_version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="readings",
                to="console.agentversion",
            ),
        ),
        migrations.AlterField(
            model_name="reading",
            name="connection",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="readings",
                to="console.connection",
            ),
        ),
        migrations.AlterField(
            model_name="revision",
            name="by_agent",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="console.agentversion",
            ),
        ),
        migrations.AlterField(
            model_name="revision",
            name="by_user",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="revision",
            name="proposal",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="revisions",
                to="console.proposal",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                django.db.models.expressions.CombinedExpression(models.F("risk"), "*", models.Value(-1)),
                models.F("id"),
                condition=models.Q(("state", "in_review")),
                name="queue_by_risk",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                models.F("expires_at"),
                models.F("id"),
                condition=models.Q(("state", "in_review")),
                name="queue_by_time",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce(
                    django.db.models.expressions.CombinedExpression(
                        models.F("value_amount"), "*", models.Value(-1)
                    ),
                    models.Value(Decimal(1000000000000000)),
                ),
                models.F("id"),
                condition=models.Q(("state", "in_review")),
                name="queue_by_money",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("state__in", ("received", "in_review", "changes_requested"))),
                fields=["agent_version"],
                name="pending_of_version",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("reverses__isnull", False)), fields=["reverses"], name="reversals"
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.UniqueConstraint(fields=("ref",), name="proposal_ref_once"),
        ),
        *(
            migrations.RunSQL(
                f"ALTER TABLE {table} SET (fillfactor = 75)", f"ALTER TABLE {table} RESET (fillfactor)"
            )
            for table in ("console_proposal", "console_attempt")
        ),
    ]
