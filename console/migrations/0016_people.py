"""Seeded tests, and what people did before they answered.

What a test is cannot be changed afterwards, a test never gets an attempt, and what may be approved is no test.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Frozen here: the table of this migration that refuses update and delete.
APPEND_ONLY = ("console_seededtest",)

GUARDS = """
CREATE FUNCTION console_seeded_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'proposal %: whether it is a seeded test cannot be changed', OLD.ref
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER console_seeded_stays BEFORE UPDATE ON console_proposal FOR EACH ROW
    WHEN (OLD.seeded IS DISTINCT FROM NEW.seeded) EXECUTE FUNCTION console_seeded_stays();

CREATE FUNCTION console_attempt_never_of_seeded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM console_proposal p WHERE p.id = NEW.proposal_id AND p.seeded) THEN
        RAISE EXCEPTION 'attempt refused: proposal % is a seeded test', NEW.proposal_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER console_attempt_never_of_seeded BEFORE INSERT ON console_attempt
    FOR EACH ROW EXECUTE FUNCTION console_attempt_never_of_seeded();
"""

UNGUARD = """
DROP TRIGGER console_attempt_never_of_seeded ON console_attempt;
DROP FUNCTION console_attempt_never_of_seeded();
DROP TRIGGER console_seeded_stays ON console_proposal;
DROP FUNCTION console_seeded_stays();
"""


class Migration(migrations.Migration):
    """A table, four columns, and three guards."""

    dependencies = [
        ('console', '0015_evals'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SeededTest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.CharField(max_length=40)),
                ('path', models.CharField(max_length=100)),
                ('label', models.CharField(max_length=100)),
                ('right', models.JSONField()),
                ('wrong', models.JSONField()),
                ('told', models.CharField(max_length=300)),
                ('look', models.CharField(max_length=300)),
                ('planted_at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='decision',
            name='caught',
            field=models.BooleanField(null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='edits',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='unfolded',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='proposal',
            name='seeded',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('caught__isnull', False)), fields=['-id'], name='answers_to_tests'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('seeded', False), ('state__in', ('received', 'in_review', 'changes_requested', 'approved', 'committing', 'awaiting_system', 'awaiting_person', 'outcome_unknown', 'committed', 'commit_failed', 'refused', 'rejected', 'withdrawn', 'expired', 'shadowed'))), models.Q(('seeded', True), ('state__in', ('received', 'in_review', 'revealed', 'refused', 'expired'))), _connector='OR'), name='seeded_is_never_approved'),
        ),
        migrations.AddField(
            model_name='seededtest',
            name='asked_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='seededtest',
            name='proposal',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='test', to='console.proposal'),
        ),
        migrations.AddField(
            model_name='seededtest',
            name='source',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='console.proposal'),
        ),
        migrations.RunSQL(GUARDS, UNGUARD),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION console_append_only();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ),
    ]
