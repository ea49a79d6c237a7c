"""Sampling rules that two people countersigned, and what came of each draw."""

from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = ("console_samplingrule", "console_sampled")


# The guard of 0002, which asks a person's approval of every attempt, knows one other way: a draw under the newest rule
# of the proposal's own grant, while that grant is at sampled, of what is neither for the floor nor for the books, can
# be reversed, and is worth no more than the rule says.
GUARD = """
CREATE OR REPLACE FUNCTION console_attempt_of_approved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    agreed integer;
    holding text;
BEGIN
    SELECT p.state INTO holding FROM console_proposal p WHERE p.id = NEW.proposal_id;
    SELECT count(*) INTO agreed FROM console_decision d
        WHERE d.assessment_id = NEW.assessment_id AND d.proposal_id = NEW.proposal_id AND d.answer = 'approve' AND d.digest = NEW.digest;
    IF agreed = 0 THEN
        SELECT count(*) INTO agreed FROM console_sampled s
            JOIN console_samplingrule r ON r.id = s.rule_id
            JOIN console_proposal p ON p.id = s.proposal_id AND p.grant_id = r.grant_id
            JOIN console_grant g ON g.id = p.grant_id AND g.autonomy = 'sampled'
            JOIN console_assessment a ON a.id = s.assessment_id AND a.digest = s.digest
        WHERE s.assessment_id = NEW.assessment_id AND s.proposal_id = NEW.proposal_id AND s.digest = NEW.digest
            AND NOT s.picked AND s.draw >= r.share
            AND r.id = (SELECT max(n.id) FROM console_samplingrule n WHERE n.grant_id = p.grant_id)
            AND a.facts -> 'floor' = 'false' AND a.facts -> 'books' = 'false' AND a.facts -> 'reversible' = 'true'
            AND a.facts #>> '{value,currency}' = r.currency
            AND abs((a.facts #>> '{value,amount}')::numeric) <= r.most;
    END IF;
    IF holding IS DISTINCT FROM 'committing' OR agreed = 0 THEN
        RAISE EXCEPTION 'attempt refused: nobody approved %, or it is not committing', NEW.digest
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""
BEFORE = import_module("console.migrations.0002_guards").GUARDS
"""Where the guard is as it was: between its first line and the trigger that calls it."""
UNGUARD = "CREATE OR REPLACE FUNCTION console_attempt_of_approved()" + (
    BEFORE.split("CREATE FUNCTION console_attempt_of_approved()")[1].split("CREATE TRIGGER")[0]
)


class Migration(migrations.Migration):
    """Two append-only tables."""

    dependencies = [
        ("console", "0016_people"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SamplingRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("type_version", models.PositiveIntegerField()),
                ("most", models.DecimalField(decimal_places=2, max_digits=12)),
                ("currency", models.CharField(max_length=3)),
                ("share", models.PositiveSmallIntegerField()),
                ("digest", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "confirmed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sampling_rules",
                        to="console.grant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("asked_by", models.F("confirmed_by")), _negated=True),
                        name="sampling_rule_needs_two_people",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("share__gte", 10), ("share__lte", 100)), name="sampling_share_in_range"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Sampled",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64)),
                ("draw", models.PositiveSmallIntegerField()),
                ("picked", models.BooleanField()),
                ("at", models.DateTimeField()),
                (
                    "assessment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="draw", to="console.assessment"
                    ),
                ),
                (
                    "proposal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="draws", to="console.proposal"
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="draws", to="console.samplingrule"
                    ),
                ),
            ],
        ),
        migrations.RunSQL(GUARD, UNGUARD),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION console_append_only();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ),
    ]
